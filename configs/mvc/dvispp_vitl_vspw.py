_base_ = ['../dvispp/dvispp_vitl_vspw.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/mvc/dvispp_vitl_vspw_online.pth'
stages = dict(
    segmenter=dict(
        _base_.mvc_stages.segmenter,
        train_cfg=dict(max_iters=60000, val_interval=60000),
        param_scheduler=dict(milestones=[42000])),
    online=dict(
        _base_.mvc_stages.online,
        load_from='checkpoints/mvc/dvispp_vitl_vspw_segmenter.pth'))
