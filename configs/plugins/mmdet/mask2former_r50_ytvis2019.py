# MMDetection's Mask2FormerVideo as MMDetection configures it, on the clips and with the metric of this package.
# Whatever has no prefix is MMDetection's.
_base_ = 'mmdet::mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py'

custom_imports = dict(imports=['mmvc'])
# MMDetection's own pixel decoder needs compiled ops; weights trained with either fit the other
model = dict(track_head=dict(pixel_decoder=dict(type='mmvc.MSDeformAttnPixelDecoder')))

data_root = 'data/youtube_vis_2019'
dataset = dict(type='mmvc.YouTubeVISDataset', version='2019', data_root=data_root)
train_pipeline = [
    dict(type='mmvc.SampleClip', num_frames=2, frame_range=100),  # `num_frames` of the track head
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='mmvc.LoadFrameFromFile'),
            dict(type='mmvc.LoadFrameInstances'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='mmvc.PackVideoSegInputs'),
]
test_pipeline = [
    dict(type='mmvc.SampleAllFrames'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvc.LoadFrameFromFile'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
        ]),
    dict(type='mmvc.PackVideoSegInputs'),
]
train_dataloader = dict(
    _delete_=True,
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(dataset, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, split='valid', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='mmvc.VISMetric',
    data_root=data_root,
    format_only=True,
    output_dir='work_dirs/results/mask2former_ytvis2019')
test_evaluator = val_evaluator
