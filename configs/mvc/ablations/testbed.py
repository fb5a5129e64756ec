# Small frames in which context, motion and occlusion matter, and many queries for few things: a training takes minutes
# on one CPU core. tools/ablate.py generates the videos that _testbed.py describes.
_base_ = ['../../dvispp/dvispp_r18_synthetic.py', '../../_base_/mvc.py']

data_root = 'data/synthetic_testbed/vspw'
# tracker and refiner from random weights, as the plans' tables were measured
_random = dict(norm_groups=1, inherit_heads=False, identity_init=False)
model = dict(
    head=dict(num_queries=48),
    tracker=dict(_random, noise=dict(mode='wa', prob=0.5)),
    refiner=dict(_random, cross_attn=_base_.oma))
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
test_evaluator = [dict(type='VSSMetric'), dict(type='ObjectMetric', object_dir=f'{data_root}/objects')]
_warm_up = dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False)
_decay = dict(type='CosineAnnealingLR', begin=50, eta_min=1e-6, by_epoch=False)
train_cfg = dict(max_iters=150, val_interval=150)
param_scheduler = [_warm_up, dict(_decay, end=150)]
_patches = dict(patch_size=16, mask_ratio=0.7, prob=0.5)  # a frame has 4 x 6 patches
stages = dict(
    segmenter=dict(
        _base_.mvc_stages.segmenter,
        mask=dict(type='RandomPatchMask', **_patches),
        train_cfg=dict(max_iters=400, val_interval=400),
        param_scheduler=[_warm_up, dict(_decay, end=400)]),
    online=dict(
        _base_.mvc_stages.online,
        mask=dict(type='TubeMask', **_patches),
        train_cfg=dict(max_iters=200, val_interval=200),
        param_scheduler=[_warm_up, dict(_decay, end=200)]))
