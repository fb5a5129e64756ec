# AdamW for a training from random weights that takes minutes: a high learning rate, the same for the backbone. A
# config states `train_cfg.max_iters` and `param_scheduler`.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=1.0),
            'query_embed': dict(decay_mult=0.0),
            'query_feat': dict(decay_mult=0.0),
            'level_embed': dict(decay_mult=0.0),
            'level_encoding': dict(decay_mult=0.0),
        },
        norm_decay_mult=0.0))
train_cfg = dict(type='ResumableTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
