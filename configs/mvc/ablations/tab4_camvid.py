_base_ = ['./_camvid.py', './_tab4.py']

title = 'MVC-1, MVC-2 and OMA one after the other, CamVid'
metrics = [*_base_.of_stages, *_base_.of_refiner[1:], *_base_.of_masked]
