# The official configurations have no Swin-L: sizes and schedule are those of R50.
_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/backbones/swinl.py',
    '../_base_/datasets/youtube_vis_2019.py', '../_base_/pipelines/dvispp_vis.py', '../_base_/schedules/dvispp.py',
    '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    backbone=_base_.backbone,
    head=_base_.head,
    tracker=dict(_base_.tracker, noise=dict(_base_.tracker.noise, prob=0.8)),
    refiner=_base_.refiner)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.custom_keys))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/dvispp/dvispp_swinl_ytvis2019_online.pth'
stages = dict(
    segmenter=dict(
        sample_clip=dict(num_frames=10, frame_range=15),
        optim_wrapper=dict(optimizer=dict(lr=5e-5)),
        train_cfg=dict(max_iters=32000, val_interval=32000),
        param_scheduler=dict(milestones=[12000, 24000]),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_swinl_coco-instance.pth'),
    online=dict(
        train_cfg=dict(max_iters=80000, val_interval=80000),
        param_scheduler=dict(milestones=[56000]),
        load_from='checkpoints/dvispp/dvispp_swinl_ytvis2019_segmenter.pth'))
