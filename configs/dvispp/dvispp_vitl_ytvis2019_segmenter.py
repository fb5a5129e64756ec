_base_ = [
    '../_base_/models/segmenter_vitl.py', '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/dvispp_vitl.py', '../_base_/default_runtime.py'
]

model = dict(num_classes=_base_.num_classes, postprocessor=_base_.postprocessor)
train_pipeline = [dict(type='SampleClip', num_frames=11, frame_range=5), *_base_.train_pipeline[1:]]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=5e-5))
train_cfg = dict(max_iters=16000, val_interval=16000)
param_scheduler = dict(milestones=[6000, 12000])
auto_scale_lr = dict(base_batch_size=16)
# Mask2Former trained on COCO, by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_vitl_coco-instance.pth'
