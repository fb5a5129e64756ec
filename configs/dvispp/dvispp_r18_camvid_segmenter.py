_base_ = [
    '../_base_/models/segmenter_r18_small.py', '../_base_/datasets/camvid.py', '../_base_/schedules/from_scratch.py',
    '../_base_/default_runtime.py'
]

model = dict(num_classes=_base_.num_classes, postprocessor=_base_.postprocessor)
max_iters = 2400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=4)
