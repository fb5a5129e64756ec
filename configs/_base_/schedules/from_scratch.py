# Training from scratch in minutes, at a high rate. A leaf states `train_cfg.max_iters` and `param_scheduler`.
_base_ = './adamw.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))))
