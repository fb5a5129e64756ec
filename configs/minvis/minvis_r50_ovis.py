_base_ = '../dvispp/dvispp_r50_ovis_segmenter.py'

model = dict(head=dict(with_reid=False, reid_loss=None))
train_pipeline = [dict(type='SampleClip', num_frames=1, frame_range=0), *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
