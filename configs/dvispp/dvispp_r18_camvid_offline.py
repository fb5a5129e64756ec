_base_ = ['./dvispp_r18_camvid_online.py', '../_base_/models/refiner_small.py']

model = dict(type='DVISOffline', refiner=_base_.refiner)
train_pipeline = [
    dict(type='SampleClip', num_frames=8, frame_range=4, reverse_prob=0.5), *_base_.train_pipeline[1:]
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
