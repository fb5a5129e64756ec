_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/backbones/vitl.py',
    '../_base_/datasets/vipseg.py', '../_base_/pipelines/dvispp_720p.py', '../_base_/schedules/dvispp.py',
    '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    backbone=_base_.backbone,
    head=_base_.head,
    tracker=dict(_base_.tracker, reid_loss=None),
    refiner=dict(_base_.refiner, reid_loss=None))
train_dataloader = dict(dataset=dict(pipeline=_base_.refiner_pipelines.vipseg))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.custom_keys))
load_from = 'checkpoints/dvispp/dvispp_vitl_vipseg_online.pth'
stages = dict(
    segmenter=dict(
        model=dict(backbone=dict(init_cfg=_base_.pretrained)),
        train_pipeline=_base_.train_pipeline,
        train_dataloader=dict(batch_size=2),
        param_scheduler=dict(milestones=[14000, 18000]),
        auto_scale_lr=dict(base_batch_size=16),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_vitl_coco-panoptic.pth'),
    online=dict(
        train_pipeline=_base_.train_pipeline,
        load_from='checkpoints/dvispp/dvispp_vitl_vipseg_segmenter.pth'))
