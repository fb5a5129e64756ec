_base_ = ['./_vspw.py', './_variants.py']

title = 'Drop ratio (d) of OMA, VSPW'
config = '../dvispp_vitl_vspw.py'
variants = _base_.tab6
metrics = _base_.of_refiner
