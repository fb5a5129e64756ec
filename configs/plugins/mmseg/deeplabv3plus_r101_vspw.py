# An image model of MMSegmentation, trained on VSPW and scored with mIoU and VC.
_base_ = [
    '../../_base_/models/deeplabv3plus_r101.py', '../../_base_/datasets/vspw_image.py',
    '../../_base_/default_runtime.py'
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes))

# MMSegmentation's 80k iterations of SGD, 16 images per iteration (4 GPUs with 4).
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=80000, by_epoch=False)
train_cfg = dict(type='ResumableTrainLoop', max_iters=80000, val_interval=80000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=16)
