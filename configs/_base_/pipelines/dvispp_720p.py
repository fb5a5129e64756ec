# The sizes of DVIS++ for VSPW and VIPSeg: short side 480 to 800 in training, 720 in testing.
_sizes = [(1333, short_side) for short_side in range(480, 801, 32)]  # (longest side, short side)
_load = [dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]
_resize = dict(type='RandomChoiceResize', scales=_sizes, resize_type='mmdet.Resize', keep_ratio=True)
_flip = dict(type='mmdet.RandomFlip', prob=0.5)
_crops = dict(
    vspw=dict(type='mmdet.RandomCrop', crop_type='absolute_range', crop_size=(600, 720)),
    vipseg=dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(608, 608)))

# segmenter and tracker
train_pipeline = [
    dict(type='SampleClip', num_frames=4, frame_range=8),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # the frames of a clip are resized and flipped alike
        transforms=[*_load, _resize, _flip]),
    dict(type='PackVideoSegInputs'),
]
# The refiner is trained on longer clips. They are cropped, differently for each dataset.
refiner_pipelines = {
    dataset: [
        dict(type='SampleClip', num_frames=21, frame_range=10, reverse_prob=0.5),
        dict(
            type='TransformBroadcaster', share_random_params=True, transforms=[*_load, _resize, crop, _flip]),
        dict(type='PackVideoSegInputs'),
    ]
    for dataset, crop in _crops.items()
}
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
