_base_ = ['./dvispp_vitl_vipseg_online.py', '../_base_/models/refiner.py']

model = dict(type='DVISOffline', refiner=dict(_base_.refiner, reid_loss=None))
train_pipeline = [
    dict(type='SampleClip', num_frames=21, frame_range=10, reverse_prob=0.5),
    _base_.refiner_load_and_augment,
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
load_from = 'checkpoints/dvispp/dvispp_vitl_vipseg_online.pth'
