_base_ = ['../dvis/dvis_r50_ovis_offline.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
train_cfg = dict(max_iters=160000, val_interval=160000)
param_scheduler = dict(milestones=[112000])
load_from = 'checkpoints/mvc/dvis_r50_ovis_online.pth'
