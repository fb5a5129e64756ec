# VSPW (124 classes), the 480p release. Sizes of DVIS++: short side 480 to 800 in training, 720 in testing.
dataset_type = 'VSPWDataset'
data_root = 'data/VSPW_480p'

train_sizes = [(1333, short_side) for short_side in range(480, 801, 32)]  # (longest side, short side)
load = [dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]
resize = dict(type='RandomChoiceResize', scales=train_sizes, resize_type='mmdet.Resize', keep_ratio=True)
crop = dict(type='mmdet.RandomCrop', crop_type='absolute_range', crop_size=(600, 720))
flip = dict(type='mmdet.RandomFlip', prob=0.5)
load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are resized and flipped alike
    transforms=[*load, resize, flip])
refiner_load_and_augment = dict(
    type='TransformBroadcaster', share_random_params=True, transforms=[*load, resize, crop, flip])
train_pipeline = [
    dict(type='SampleClip', num_frames=4, frame_range=8),
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
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='val.txt', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VSSMetric')
test_evaluator = val_evaluator
num_classes = 124
postprocessor = dict(type='VSSPostprocessor')
