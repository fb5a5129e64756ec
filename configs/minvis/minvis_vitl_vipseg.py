_base_ = [
    '../_base_/models/segmenter.py', '../_base_/backbones/vitl.py', '../_base_/datasets/vipseg.py',
    '../_base_/pipelines/dvispp_720p.py', '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    backbone=dict(_base_.backbone, init_cfg=_base_.pretrained),
    head=dict(_base_.head, with_reid=False, reid_loss=None))
train_pipeline = [dict(type='SampleClip', num_frames=1, frame_range=0), *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.custom_keys))
# Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_vitl_coco-panoptic.pth'
