_base_ = ['./_testbed.py', './_tab6.py']

title = 'Drop ratio (d) of OMA, generated videos'
metrics = _base_.of_refiner
