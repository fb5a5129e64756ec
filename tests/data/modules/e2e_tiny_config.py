# Copyright (c) The mmvc contributors. All rights reserved.
# The model of e2e_tiny.npz: the full-size one with every size reduced.
_base_ = ['../../../configs/_base_/models/segmenter.py', '../../../configs/_base_/models/dvispp.py']

stages = None  # one model, not the training of it
attention = dict(embed_dims=32, num_heads=4)
sizes = dict(embed_dims=64, mask_channels=32, num_layers=2, num_heads=4, feedforward_channels=64)
model = dict(
    type='DVISOffline',
    num_classes=10,
    backbone=dict(stem_channels=8, base_channels=4, init_cfg=None),
    head=dict(
        in_channels=[16, 32, 64, 128],
        feat_channels=32,
        out_channels=32,
        num_queries=12,
        pixel_decoder=dict(
            encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=dict(embed_dims=32))),
            positional_encoding=dict(num_feats=16)),
        positional_encoding=dict(num_feats=16),
        transformer_decoder=dict(
            num_layers=3,
            layer_cfg=dict(
                self_attn_cfg=attention,
                cross_attn_cfg=attention,
                ffn_cfg=dict(embed_dims=32, feedforward_channels=64)))),
    tracker=dict(_base_.tracker, **sizes),
    refiner=dict(_base_.refiner, **sizes),
    postprocessor=dict(type='VSSPostprocessor'))
