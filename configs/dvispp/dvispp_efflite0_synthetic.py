_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/models/small.py',
    '../_base_/backbones/efflite0.py', '../_base_/datasets/synthetic.py', '../_base_/schedules/from_scratch.py',
    '../_base_/default_runtime.py'
]

model = dict(
    _base_.small,
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    data_preprocessor=_base_.normalisation,
    backbone=_base_.backbone,
    head=dict(_base_.small.head, in_channels=_base_.channels),
    tracker=dict(_base_.tracker, **_base_.small_tracker),
    refiner=dict(_base_.refiner, **_base_.small_refiner))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.custom_keys))
train_dataloader = dict(batch_size=2)
max_iters = 500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=2)
stages = dict(
    segmenter=dict(
        model=dict(backbone=dict(init_cfg=_base_.pretrained)),
        sample_clip=dict(num_frames=2, frame_range=5),
        train_dataloader=dict(batch_size=3),
        train_cfg=dict(max_iters=600, val_interval=600),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
            dict(type='CosineAnnealingLR', begin=50, end=600, eta_min=1e-6, by_epoch=False),
        ],
        auto_scale_lr=dict(base_batch_size=3)))
