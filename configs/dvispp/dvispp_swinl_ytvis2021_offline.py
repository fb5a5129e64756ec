_base_ = ['./dvispp_swinl_ytvis2021_online.py', '../_base_/models/refiner.py']

model = dict(type='DVISOffline', refiner=_base_.refiner)
train_pipeline = [
    dict(type='SampleClip', num_frames=15, frame_range=7, reverse_prob=0.5), *_base_.train_pipeline[1:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/dvispp/dvispp_swinl_ytvis2021_online.pth'
