_base_ = ['./dvispp_r50_vspw_online.py', '../_base_/mvc_sum.py']

train_pipeline = [*_base_.train_pipeline[:-2], dict(type='TubeMask', **_base_.mvc_sum), _base_.train_pipeline[-1]]
split = dict(_base_.train_dataloader.dataset, pipeline=train_pipeline)
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[split, dict(split, ann_file='val.txt')]))
load_from = 'checkpoints/mvc/dvispp_r50_vspw_trainval_segmenter.pth'
