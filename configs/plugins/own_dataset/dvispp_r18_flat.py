# The small model with masking, on a dataset class that is defined next to this file, for all stages.
_base_ = ['../../dvispp/dvispp_r18_synthetic.py', '../../_base_/mvc.py']

custom_imports = dict(imports=['configs.plugins.own_dataset.flat_folder_dataset'])
data_root = 'data/flat'
_dataset = dict(_delete_=True, type='FlatFolderDataset', data_root=data_root)
train_dataloader = dict(dataset=dict(_dataset, ann_file='train.txt', pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(_dataset, ann_file='val.txt', pipeline=_base_.test_pipeline, test_mode=True))
test_dataloader = val_dataloader
model = dict(num_classes=10, refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
