_base_ = ['../dvispp/dvispp_swinl_ovis_online.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight)
train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='TubeMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
load_from = 'checkpoints/mvc/dvispp_swinl_ovis_segmenter.pth'
