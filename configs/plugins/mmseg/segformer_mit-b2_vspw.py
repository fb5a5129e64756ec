# A transformer of MMSegmentation, trained on VSPW frame by frame and scored with mIoU and VC.
_base_ = [
    '../../_base_/models/segformer_mit-b2.py', '../../_base_/datasets/vspw_image.py',
    '../../_base_/default_runtime.py'
]

model = dict(data_preprocessor=_base_.data_preprocessor, decode_head=dict(num_classes=_base_.num_classes))

# The 160k iterations of AdamW with which MMSegmentation trains SegFormer, 16 images per iteration (4 GPUs with 4).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={'pos_block': dict(decay_mult=0.0), 'norm': dict(decay_mult=0.0), 'head': dict(lr_mult=10.0)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=160000, by_epoch=False),
]
train_cfg = dict(type='ResumableTrainLoop', max_iters=160000, val_interval=160000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=16)
