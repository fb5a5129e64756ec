_base_ = [
    '../_base_/models/encoder_only_tiny.py', '../_base_/datasets/camvid.py', '../_base_/schedules/from_scratch.py',
    '../_base_/default_runtime.py'
]

# patches of 16 pixels: with 8, frames of this size take four times as long
model = dict(
    _base_.lvmt_tiny,
    num_classes=_base_.num_classes,
    encoder=dict(_base_.lvmt_tiny.encoder, patch_size=16),
    postprocessor=_base_.postprocessor)
train_dataloader = dict(batch_size=1)
max_iters = 800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=1)
stages = dict(
    segmenter=dict(
        sample_clip=dict(num_frames=2, frame_range=2),
        train_dataloader=dict(batch_size=4),
        train_cfg=dict(max_iters=2400, val_interval=2400),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
            dict(type='CosineAnnealingLR', begin=50, end=2400, eta_min=1e-6, by_epoch=False),
        ],
        auto_scale_lr=dict(base_batch_size=4)))
