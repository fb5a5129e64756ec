_base_ = '../dvispp/dvispp_vitl_vspw_segmenter.py'

model = dict(head=dict(with_reid=False, reid_loss=None))
train_pipeline = [dict(type='SampleClip', num_frames=1, frame_range=0), *_base_.train_pipeline[1:]]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
param_scheduler = dict(milestones=[14000])
auto_scale_lr = dict(base_batch_size=8)
