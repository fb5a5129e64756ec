_base_ = [
    '../_base_/models/encoder_only.py', '../_base_/datasets/vspw.py', '../_base_/pipelines/encoder_only_720p.py',
    '../_base_/schedules/encoder_only.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.videomt,
    num_classes=_base_.num_classes,
    encoder=_base_.encoders.vitl_dinov3,
    decoder=dict(_base_.joint_blocks.vitl, norm_queries=True),
    postprocessor=_base_.postprocessor)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
param_scheduler = _base_.two_phase_schedule
train_cfg = dict(max_iters=40000, val_interval=40000)
load_from = 'checkpoints/videomt/videomt_vitl_dinov3_vspw_segmenter.pth'
stages = dict(segmenter=dict(load_from='checkpoints/dinov3_vitl.pth'))
