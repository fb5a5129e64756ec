_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/datasets/vspw.py',
    '../_base_/pipelines/dvispp_720p.py', '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    tracker=_base_.tracker,
    refiner=_base_.refiner)
train_dataloader = dict(dataset=dict(pipeline=_base_.refiner_pipelines.vspw))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
load_from = 'checkpoints/dvispp/dvispp_r50_vspw_online.pth'
stages = dict(
    segmenter=dict(
        train_pipeline=_base_.train_pipeline,
        train_dataloader=dict(batch_size=2),
        param_scheduler=dict(milestones=[14000, 18000]),
        auto_scale_lr=dict(base_batch_size=16),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_r50_coco-panoptic.pth'),
    online=dict(
        train_pipeline=_base_.train_pipeline,
        load_from='checkpoints/dvispp/dvispp_r50_vspw_segmenter.pth'))
