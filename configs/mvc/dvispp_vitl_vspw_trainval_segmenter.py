# For submissions to the test server: trained on train + val, so numbers on val mean nothing. Fine-tuned from the
# segmenter of train alone; length and rate are ours, the report does not give them.
_base_ = ['./dvispp_vitl_vspw_segmenter.py', '../_base_/mvc_sum.py']

train_pipeline = [
    *_base_.train_pipeline[:-2], dict(type='RandomPatchMask', **_base_.mvc_sum), _base_.train_pipeline[-1]
]
split = dict(_base_.train_dataloader.dataset, pipeline=train_pipeline)
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[split, dict(split, ann_file='val.txt')]))
train_cfg = dict(max_iters=20000, val_interval=20000)
param_scheduler = dict(milestones=[14000])
optim_wrapper = dict(optimizer=dict(lr=1e-5))
load_from = 'checkpoints/mvc/dvispp_vitl_vspw_segmenter.pth'
