_base_ = ['./dvispp_r50_ytvis2021_segmenter.py', '../_base_/models/tracker.py']

model = dict(type='DVISOnline', tracker=dict(_base_.tracker, noise=dict(_base_.tracker.noise, prob=0.8)))
train_pipeline = [dict(type='SampleClip', num_frames=5, frame_range=2), *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_iters=80000, val_interval=80000)
param_scheduler = dict(milestones=[56000])
load_from = 'checkpoints/dvispp/dvispp_r50_ytvis2021_segmenter.pth'
