# An image model of MMSegmentation, trained on VSPW and scored with mIoU and VC.
_base_ = [
    '../../_base_/models/deeplabv3plus_r101.py', '../../_base_/datasets/vspw_image.py',
    '../../_base_/schedules/sgd_poly_80k.py', '../../_base_/default_runtime.py'
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes))
