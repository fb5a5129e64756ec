_base_ = [
    '../_base_/models/encoder_only.py', '../_base_/datasets/ovis.py', '../_base_/pipelines/encoder_only_vis.py',
    '../_base_/schedules/encoder_only.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.lvmt,
    num_classes=_base_.num_classes,
    encoder=_base_.encoders.vitl_dinov2,
    decoder=_base_.lateral_decoders.vitl,
    postprocessor=_base_.postprocessor)
train_dataloader = dict(dataset=dict(pipeline=_base_.long_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipelines.short544))
test_dataloader = val_dataloader
param_scheduler = _base_.one_phase_schedule
train_cfg = dict(max_iters=80000, val_interval=80000)
model_wrapper_cfg = _base_.chunk_wrapper
sync_bn = 'torch'
load_from = 'checkpoints/pmt/pmt_vitl_dinov2_ovis_segmenter.pth'
stages = dict(segmenter=dict(load_from='checkpoints/dinov2_vitl.pth'))
