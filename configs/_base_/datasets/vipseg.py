# VIPSeg (124 classes, 58 of them things) at 720p, as tools/dataset_converters/vipseg_to_720p.py writes it. A config
# adds the pipelines.
dataset_type = 'VIPSegDataset'
data_root = 'data/VIPSeg_720P'
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='panoptic_gt_VIPSeg_train.json'))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='panoptic_gt_VIPSeg_val.json', test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VPSMetric', ann_file=f'{data_root}/panoptic_gt_VIPSeg_val.json')
test_evaluator = val_evaluator
num_classes = 124
postprocessor = dict(
    type='VPSPostprocessor',
    thing_classes=[
        2, 4, 8, 10, 41, 43, 44, 46, 47, 48, 49, 50, 51, 52, 54, 55, 56, 60, 61, 62, 63, 64, 65, 72, 74, 76,
        77, 78, 79, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 95, 96, 97, 99, 100, 101, 102, 106, 107, 108,
        109, 114, 115, 116, 117, 118, 122, 123
    ])
