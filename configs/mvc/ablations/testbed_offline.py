_base_ = ['../../dvispp/dvispp_r18_synthetic_offline.py', '../../_base_/mvc.py']

data_root = 'data/synthetic_testbed/vspw'
model = dict(head=dict(num_queries=48), refiner=dict(cross_attn=_base_.oma))
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
test_evaluator = [dict(type='VSSMetric'), dict(type='ObjectMetric', object_dir=f'{data_root}/objects')]
max_iters = 150
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
