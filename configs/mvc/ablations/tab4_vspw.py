_base_ = ['./_vspw.py', './_variants.py']

title = 'MVC-1, MVC-2 and OMA one after the other, VSPW'
config = '../dvispp_vitl_vspw.py'
variants = _base_.tab4
metrics = [*_base_.of_stages, *_base_.of_refiner[1:], *_base_.of_masked]
