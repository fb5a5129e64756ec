_base_ = ['../dvispp/dvispp_efflite0_synthetic.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
