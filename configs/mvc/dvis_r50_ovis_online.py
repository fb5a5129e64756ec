_base_ = ['../dvis/dvis_r50_ovis_online.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight, tracker=dict(noise=dict(prob=0.8)))
train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='TubeMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=160000, val_interval=160000)
param_scheduler = dict(milestones=[112000])
load_from = 'checkpoints/mvc/dvis_r50_ovis_segmenter.pth'
