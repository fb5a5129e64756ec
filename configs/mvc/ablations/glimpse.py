# A model for videos in which most things show their class in one frame of four: many queries for few things, and long
# clips. tools/ablate.py generates the videos that oma_synthetic.py describes. No stage hides patches: only OMA varies.
_base_ = ['../../dvispp/dvispp_r18_synthetic.py', '../../_base_/mvc.py']

data_root = 'data/synthetic_glimpse/vspw'
model = dict(head=dict(num_queries=64), refiner=dict(cross_attn=_base_.oma))
train_pipeline = [
    dict(type='SampleClip', num_frames=16, frame_range=12, reverse_prob=0.5), *_base_.train_pipeline[1:]
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
test_evaluator = [dict(type='VSSMetric'), dict(type='ObjectMetric', object_dir=f'{data_root}/objects')]
_warm_up = dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False)
stages = dict(
    segmenter=dict(
        train_cfg=dict(max_iters=1500, val_interval=1500),
        param_scheduler=[
            _warm_up, dict(type='CosineAnnealingLR', begin=50, end=1500, eta_min=1e-6, by_epoch=False)
        ]))
