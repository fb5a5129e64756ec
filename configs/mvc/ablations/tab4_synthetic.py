_base_ = ['./_testbed.py', './_tab4.py']

title = 'MVC-1, MVC-2 and OMA one after the other, generated videos'
metrics = [*_base_.of_stages, *_base_.of_refiner[1:], *_base_.of_masked]
