_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/datasets/vipseg.py',
    '../_base_/pipelines/dvispp_720p.py', '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    tracker=dict(_base_.tracker, reid_loss=None),
    refiner=dict(_base_.refiner, reid_loss=None))
refiner_pipeline = [
    dict(type='SampleClip', num_frames=11, frame_range=10, reverse_prob=0.5), *_base_.refiner_pipelines.vipseg[1:]
]
train_dataloader = dict(dataset=dict(pipeline=refiner_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
load_from = 'checkpoints/dvispp/dvispp_r50_vipseg_online.pth'
stages = dict(
    segmenter=dict(
        train_pipeline=_base_.train_pipeline,
        sample_clip=dict(num_frames=5, frame_range=10),
        train_dataloader=dict(batch_size=2),
        param_scheduler=dict(milestones=[14000, 18000]),
        auto_scale_lr=dict(base_batch_size=16),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_r50_coco-panoptic.pth'),
    online=dict(
        train_pipeline=_base_.train_pipeline,
        load_from='checkpoints/dvispp/dvispp_r50_vipseg_segmenter.pth'))
