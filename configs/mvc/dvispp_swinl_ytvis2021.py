_base_ = ['../dvispp/dvispp_swinl_ytvis2021.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
train_cfg = dict(max_iters=160000, val_interval=160000)
param_scheduler = dict(milestones=[112000])
load_from = 'checkpoints/mvc/dvispp_swinl_ytvis2021_online.pth'
stages = dict(
    segmenter=dict(
        _base_.mvc_stages.segmenter,
        optim_wrapper=dict(optimizer=dict(lr=1e-4)),  # as the paper says, for all stages
        train_cfg=dict(max_iters=60000, val_interval=60000),
        param_scheduler=dict(milestones=[42000])),
    online=dict(
        _base_.mvc_stages.online,
        train_cfg=dict(max_iters=160000, val_interval=160000),
        param_scheduler=dict(milestones=[112000]),
        load_from='checkpoints/mvc/dvispp_swinl_ytvis2021_segmenter.pth'))
