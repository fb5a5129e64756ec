# Small frames in which context, motion and occlusion matter, and many queries for few things: minutes on one CPU core.
# tools/ablate.py makes the data that _testbed.py describes.
_base_ = ['../../dvispp/dvispp_r18_synthetic_segmenter.py', '../../_base_/mvc.py']

data_root = 'data/synthetic_testbed/vspw'
model = dict(masked_loss_weight=_base_.masked_loss_weight, head=dict(num_queries=48))
patch = dict(patch_size=16, mask_ratio=0.7, prob=0.5)  # 4 x 6 patches of a frame
train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='RandomPatchMask', **patch), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
test_evaluator = [dict(type='VSSMetric'), dict(type='ObjectMetric', object_dir=f'{data_root}/objects')]
max_iters = 400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
