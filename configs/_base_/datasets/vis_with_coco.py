# What the datasets of video instance segmentation share: training mixed 1:1 with pseudo-videos of COCO, and the sizes
# of DVIS++ (short side 320 to 640 in training, 480 in testing). The annotations of the validation sets are not public:
# results are written for the server.
train_sizes = [(768, short_side) for short_side in (320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640)]
crop_sizes = [(1333, short_side) for short_side in (400, 500, 600)]
resize = dict(type='RandomChoiceResize', resize_type='mmdet.Resize', keep_ratio=True)
load_and_augment = dict(
    type='Compose',
    transforms=[
        dict(
            type='TransformBroadcaster',
            transforms=[dict(type='LoadFrameFromFile'), dict(type='LoadFrameInstances')]),
        dict(
            type='RandomApply',
            prob=0.5,
            transforms=[
                dict(
                    type='TransformBroadcaster',
                    share_random_params=True,  # the frames of a clip are resized and flipped alike
                    transforms=[dict(resize, scales=crop_sizes)]),
                dict(type='MovingCrop', crop_size=(384, 600)),
            ]),
        dict(
            type='TransformBroadcaster',
            share_random_params=True,
            transforms=[dict(resize, scales=train_sizes), dict(type='mmdet.RandomFlip', prob=0.5)]),
        dict(type='RotatePseudoVideo', max_angle=15),
    ])
train_pipeline = [
    dict(type='SampleClip', num_frames=10, frame_range=15),
    load_and_augment,
    dict(type='PackVideoSegInputs'),
]
test_pipeline = [
    dict(type='SampleAllFrames'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrameFromFile'),
            dict(type='mmdet.Resize', scale=(1333, 480), keep_ratio=True),
        ]),
    dict(type='PackVideoSegInputs'),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='JointDataset', ratio=(1, 1), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='valid', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VISMetric', format_only=True)
test_evaluator = val_evaluator
