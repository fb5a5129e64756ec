_base_ = [
    '../_base_/models/encoder_only.py', '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/pipelines/encoder_only_vis.py', '../_base_/schedules/encoder_only.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.videomt,
    num_classes=_base_.num_classes,
    encoder=_base_.encoders.vits_dinov2,
    decoder=_base_.joint_blocks.vits,
    postprocessor=_base_.postprocessor)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipelines.short448))
test_dataloader = val_dataloader
param_scheduler = _base_.two_phase_schedule
train_cfg = dict(max_iters=40000, val_interval=40000)
load_from = 'checkpoints/videomt/videomt_vits_dinov2_ytvis2019_segmenter.pth'
stages = dict(segmenter=dict(load_from='checkpoints/dinov2_vits.pth'))
