# Generated videos (tools/dataset_converters/make_synthetic.py) in the layout of VSPW. `metainfo` names the classes.
dataset_type = 'VSPWDataset'
data_root = 'data/synthetic/vspw'
metainfo = dict(
    classes=('sky', 'ground', 'water', 'building', 'ball', 'crate', 'flower', 'fish', 'kite', 'ring'),
    palette=[(70, 130, 180), (107, 142, 35), (0, 80, 200), (150, 100, 90), (220, 20, 60), (139, 90, 43),
             (255, 105, 180), (255, 165, 0), (148, 0, 211), (64, 64, 64)])

load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are flipped alike
    transforms=[
        dict(type='LoadFrameFromFile'),
        dict(type='LoadVideoSegAnnotations'),
        dict(type='mmdet.RandomFlip', prob=0.5),
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
    batch_size=3,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='val.txt',
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VSSMetric')
test_evaluator = val_evaluator
num_classes = 10
postprocessor = dict(type='VSSPostprocessor')
