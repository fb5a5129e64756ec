# VSPW (124 classes), the 480p release. A config adds the pipelines.
dataset_type = 'VSPWDataset'
data_root = 'data/VSPW_480p'
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='train.txt'))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='val.txt', test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VSSMetric')
test_evaluator = val_evaluator
num_classes = 124
postprocessor = dict(type='VSSPostprocessor')
