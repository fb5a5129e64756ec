# CamVid (11 classes, 480x360), as videos with semantic masks. Trained on crops of width 192, height 256; tested whole.
dataset_type = 'CamVidDataset'
data_root = 'data/camvid'

load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are resized, cropped, flipped and coloured alike
    transforms=[
        dict(type='LoadFrameFromFile'),
        dict(type='LoadVideoSegAnnotations'),
        dict(
            type='RandomResize',
            resize_type='mmdet.Resize',
            scale=(480, 360),
            ratio_range=(0.5, 1.25),
            keep_ratio=True),
        dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(192, 256)),
        dict(type='mmdet.RandomFlip', prob=0.5),
        dict(type='mmdet.PhotoMetricDistortion'),
    ])
train_pipeline = [
    dict(type='SampleClip', num_frames=8, frame_range=4, reverse_prob=0.5),
    load_and_augment,
    dict(type='PackVideoSegInputs'),
]
test_pipeline = [
    dict(type='SampleAllFrames'),
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
    dict(type='PackVideoSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='ImageSets/train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/val.txt',
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VSSMetric')
test_evaluator = val_evaluator
num_classes = 11
postprocessor = dict(type='VSSPostprocessor')
