_base_ = ['./_testbed.py', './_variants.py']

title = 'MVC-1, MVC-2 and OMA one after the other, generated videos'
variants = _base_.tab4
metrics = [*_base_.of_stages, *_base_.of_refiner[1:], *_base_.of_masked]
