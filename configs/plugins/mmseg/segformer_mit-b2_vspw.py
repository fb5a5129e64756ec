# A transformer of MMSegmentation, trained on VSPW frame by frame and scored with mIoU and VC.
_base_ = [
    '../../_base_/models/segformer_mit-b2.py', '../../_base_/datasets/vspw_image.py',
    '../../_base_/schedules/adamw_poly_160k.py', '../../_base_/default_runtime.py'
]

model = dict(data_preprocessor=_base_.data_preprocessor, decode_head=dict(num_classes=_base_.num_classes))
