# For submissions to the test server: trained on train and val, so numbers on val mean nothing. The segmenter is
# fine-tuned from that of train alone. Length and learning rate are ours: the report does not give them.
_base_ = ['../dvispp/dvispp_r50_vspw.py', '../_base_/mvc.py']

model = dict(refiner=dict(cross_attn=_base_.oma))
_split = _base_.train_dataloader.dataset
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[
        dict(_split, pipeline=_base_.refiner_pipelines.vspw),
        dict(_split, ann_file='val.txt', pipeline=_base_.refiner_pipelines.vspw),
    ]))
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/mvc/dvispp_r50_vspw_trainval_online.pth'
stages = dict(
    segmenter=dict(
        _base_.mvc_sum_stages.segmenter,
        optim_wrapper=dict(optimizer=dict(lr=1e-5)),
        param_scheduler=dict(milestones=[14000]),
        train_cfg=dict(max_iters=20000, val_interval=20000),
        load_from='checkpoints/mvc/dvispp_r50_vspw_segmenter.pth'),
    online=dict(
        _base_.mvc_sum_stages.online,
        load_from='checkpoints/mvc/dvispp_r50_vspw_trainval_segmenter.pth'))
