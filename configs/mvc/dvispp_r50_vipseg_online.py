_base_ = ['../dvispp/dvispp_r50_vipseg_online.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight)
train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='TubeMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/mvc/dvispp_r50_vipseg_segmenter.pth'
