_base_ = [
    '../_base_/models/segmenter.py', '../_base_/datasets/youtube_vis_2021.py', '../_base_/pipelines/dvispp_vis.py',
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
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
# Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_r50_coco-instance.pth'
