_base_ = ['./_vspw.py', './_tab6.py']

title = 'Drop ratio (d) of OMA, VSPW'
config = '../dvispp_vitl_vspw.py'
metrics = _base_.of_refiner
