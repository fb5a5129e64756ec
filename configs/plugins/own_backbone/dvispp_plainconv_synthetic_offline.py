_base_ = ['../../mvc/dvispp_r18_synthetic_offline.py', './_plain_conv_net.py']

model = dict(backbone=dict(_delete_=True, **_base_.backbone), head=dict(in_channels=_base_.channels))
