# AdamW of DVIS++: a tenth of the rate for the backbone, no decay for norms and embeddings, the whole model's gradient
# clipped at 0.01. A leaf states `train_cfg.max_iters` and the milestones.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'query_embed': dict(decay_mult=0.0),
            'query_feat': dict(decay_mult=0.0),
            'level_embed': dict(decay_mult=0.0),
            'level_encoding': dict(decay_mult=0.0),
        },
        norm_decay_mult=0.0))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
