_base_ = ['./dvispp_r18_synthetic_segmenter.py', '../_base_/models/tracker_small.py']

model = dict(type='DVISOnline', tracker=_base_.tracker)
train_pipeline = [dict(type='SampleClip', num_frames=5, frame_range=2), *_base_.train_pipeline[1:]]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
max_iters = 350
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=2)
