# VIPSeg (124 classes, 58 of them things), as converted by tools/dataset_converters/vipseg_to_720p.py: VSPW's
# videos at the same sizes, in longer clips, with panoptic masks.
_base_ = './vspw.py'

dataset_type = 'VIPSegDataset'
data_root = 'data/VIPSeg_720P'

crop = dict(_base_.crop, crop_type='absolute', crop_size=(608, 608))
refiner_load_and_augment = dict(transforms=[*_base_.load, _base_.resize, crop, _base_.flip])
train_pipeline = [dict(type='SampleClip', num_frames=5, frame_range=10), *_base_.train_pipeline[1:]]
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='panoptic_gt_VIPSeg_train.json',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='panoptic_gt_VIPSeg_val.json'))
test_dataloader = val_dataloader
val_evaluator = dict(type='VPSMetric', ann_file=f'{data_root}/panoptic_gt_VIPSeg_val.json')
test_evaluator = val_evaluator
postprocessor = dict(
    type='VPSPostprocessor',
    thing_classes=[
        2, 4, 8, 10, 41, 43, 44, 46, 47, 48, 49, 50, 51, 52, 54, 55, 56, 60, 61, 62, 63, 64, 65, 72, 74, 76,
        77, 78, 79, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 95, 96, 97, 99, 100, 101, 102, 106, 107, 108,
        109, 114, 115, 116, 117, 118, 122, 123
    ])
