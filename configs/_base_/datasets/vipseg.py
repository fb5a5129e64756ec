# VIPSeg (124 classes, 58 of them things), as converted by tools/dataset_converters/vipseg_to_720p.py. Sizes of DVIS++:
# short side 480 to 800 in training, 720 in testing.
dataset_type = 'VIPSegDataset'
data_root = 'data/VIPSeg_720P'

train_sizes = [(1333, short_side) for short_side in range(480, 801, 32)]  # (longest side, short side)
load = [dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]
resize = dict(type='RandomChoiceResize', scales=train_sizes, resize_type='mmdet.Resize', keep_ratio=True)
crop = dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(608, 608))
flip = dict(type='mmdet.RandomFlip', prob=0.5)
load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are resized and flipped alike
    transforms=[*load, resize, flip])
refiner_load_and_augment = dict(
    type='TransformBroadcaster', share_random_params=True, transforms=[*load, resize, crop, flip])
train_pipeline = [
    dict(type='SampleClip', num_frames=5, frame_range=10),
    load_and_augment,
    dict(type='PackVideoSegInputs'),
]
test_pipeline = [
    dict(type='SampleAllFrames'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrameFromFile'),
            dict(type='mmdet.Resize', scale=(1333, 720), keep_ratio=True),
        ]),
    dict(type='PackVideoSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='panoptic_gt_VIPSeg_train.json',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='panoptic_gt_VIPSeg_val.json',
        pipeline=test_pipeline,
        test_mode=True))
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
