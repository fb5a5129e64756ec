# The sizes of DVIS++ for video instance segmentation: short side 320 to 640 in training, 480 in testing. Half of the
# clips are cropped; frames of COCO are turned into clips.
_sizes = [(768, short_side) for short_side in (320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640)]
_sizes_before_crop = [(1333, short_side) for short_side in (400, 500, 600)]
_resize = dict(type='RandomChoiceResize', resize_type='mmdet.Resize', keep_ratio=True)
train_pipeline = [
    dict(type='SampleClip', num_frames=15, frame_range=7, reverse_prob=0.5),
    dict(
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
                        transforms=[dict(_resize, scales=_sizes_before_crop)]),
                    dict(type='MovingCrop', crop_size=(384, 600)),
                ]),
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[dict(_resize, scales=_sizes), dict(type='mmdet.RandomFlip', prob=0.5)]),
            dict(type='RotatePseudoVideo', max_angle=15),
        ]),
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
