_base_ = ['./_testbed.py', './_variants.py']

title = 'Drop ratio (d) of OMA, generated videos'
variants = _base_.tab6
metrics = _base_.of_refiner
