_base_ = './dvispp_r50_vspw_offline.py'

split = _base_.train_dataloader.dataset
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[split, dict(split, ann_file='val.txt')]))
load_from = 'checkpoints/mvc/dvispp_r50_vspw_trainval_online.pth'
