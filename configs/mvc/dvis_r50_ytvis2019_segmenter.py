_base_ = ['../minvis/minvis_r50_ytvis2019.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight)
train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='RandomPatchMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=60000, val_interval=60000)
param_scheduler = dict(milestones=[42000])
