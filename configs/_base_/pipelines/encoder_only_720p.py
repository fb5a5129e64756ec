# The sizes of VidEoMT, PMT and LVMT for VSPW and VIPSeg: short side 480 to 800 in training, 720 in testing, as in
# dvispp_720p.py, without a crop. Clips have 5 frames, or 15 with repetitions for LVMT. Frames are padded after
# normalisation, in the data preprocessor.
_sizes = [(1333, short_side) for short_side in range(480, 801, 32)]  # (longest side, short side)
_load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are resized and flipped alike
    transforms=[
        dict(type='LoadFrameFromFile'),
        dict(type='LoadVideoSegAnnotations'),
        dict(type='RandomChoiceResize', scales=_sizes, resize_type='mmdet.Resize', keep_ratio=True),
        dict(type='mmdet.RandomFlip', prob=0.5),
    ])

train_pipeline = [
    dict(type='SampleClip', num_frames=5, frame_range=2), _load_and_augment, dict(type='PackVideoSegInputs')
]
long_train_pipeline = [
    dict(type='SampleClip', num_frames=15, frame_range=5, replace=True), _load_and_augment,
    dict(type='PackVideoSegInputs')
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
