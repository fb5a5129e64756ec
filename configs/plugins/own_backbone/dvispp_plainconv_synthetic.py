# DVIS++ with masking and OMA on a backbone that is defined next to this file, for all stages.
_base_ = ['../../dvispp/dvispp_r18_synthetic.py', '../../_base_/mvc.py']

custom_imports = dict(imports=['configs.plugins.own_backbone.plain_conv_net'])
channels = [32, 64, 128, 256]  # the pixel decoder takes in what the backbone gives out
model = dict(
    backbone=dict(_delete_=True, type='PlainConvNet', channels=channels),
    head=dict(in_channels=channels),
    refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
