_base_ = ['./dvispp_vitl_vspw_segmenter.py', '../_base_/models/tracker.py']

model = dict(type='DVISOnline', backbone=dict(init_cfg=None), tracker=_base_.tracker)
train_pipeline = [dict(type='SampleClip', num_frames=5, frame_range=2), *_base_.train_pipeline[1:]]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
param_scheduler = dict(milestones=[14000])
auto_scale_lr = dict(base_batch_size=8)
load_from = 'checkpoints/dvispp/dvispp_vitl_vspw_segmenter.pth'
