_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/backbones/vitl.py',
    '../_base_/datasets/youtube_vis_2019.py', '../_base_/pipelines/dvispp_vis.py', '../_base_/schedules/dvispp.py',
    '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    backbone=_base_.backbone,
    head=_base_.head,
    tracker=_base_.tracker,
    refiner=_base_.refiner)
train_pipeline = [
    dict(type='SampleClip', num_frames=21, frame_range=10, reverse_prob=0.5), *_base_.train_pipeline[1:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.custom_keys))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/dvispp/dvispp_vitl_ytvis2019_online.pth'
stages = dict(
    segmenter=dict(
        model=dict(backbone=dict(init_cfg=_base_.pretrained)),
        sample_clip=dict(num_frames=11, frame_range=5),
        train_dataloader=dict(batch_size=2),
        optim_wrapper=dict(optimizer=dict(lr=5e-5)),
        train_cfg=dict(max_iters=16000, val_interval=16000),
        param_scheduler=dict(milestones=[6000, 12000]),
        auto_scale_lr=dict(base_batch_size=16),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_vitl_coco-instance.pth'),
    online=dict(
        load_from='checkpoints/dvispp/dvispp_vitl_ytvis2019_segmenter.pth'))
