# DVIS++ on 8 GPUs: AdamW with mixed precision, 20k iterations, a tenth of the learning rate after 14k. The rate of the
# backbone is a tenth of that of the rest; norms and embeddings have no weight decay; the gradient of the whole model
# is clipped at 0.01. The official warm-up (10 iterations at the full rate) changes nothing and is left out. A config
# states what its dataset and its stages change.
optim_wrapper = dict(
    type='AmpOptimWrapper',
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
param_scheduler = dict(type='MultiStepLR', milestones=[14000], gamma=0.1, by_epoch=False)
train_cfg = dict(type='ResumableTrainLoop', max_iters=20000, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=8)
