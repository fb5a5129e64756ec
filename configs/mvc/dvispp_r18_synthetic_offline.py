_base_ = ['../dvispp/dvispp_r18_synthetic_offline.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
