_base_ = [
    '../_base_/models/segmenter.py', '../_base_/datasets/vipseg.py', '../_base_/pipelines/dvispp_720p.py',
    '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    head=dict(with_reid=False, reid_loss=None))
train_pipeline = [dict(type='SampleClip', num_frames=1, frame_range=0), *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
# Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_r50_coco-panoptic.pth'
