_base_ = ['./dvis_r50_ytvis2019_online.py', '../_base_/models/refiner.py']

model = dict(type='DVISOffline', refiner=dict(_base_.refiner, embed_dims=256, reid_loss=None))
train_pipeline = [
    dict(type='SampleClip', num_frames=15, frame_range=7, reverse_prob=0.5), *_base_.train_pipeline[1:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
load_from = 'checkpoints/dvis/dvis_r50_ytvis2019_online.pth'
