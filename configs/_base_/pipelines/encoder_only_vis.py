# The sizes of VidEoMT, PMT and LVMT for video instance segmentation. Training is as in dvispp_vis.py (short side 320
# to 640; half of the clips are cropped; frames of COCO are turned into clips), but the crop stands still, clips are
# never reversed, and they have 5 frames, or 15 with repetitions for LVMT. Tests are at a short side of 448
# (YouTube-VIS), 480 (YouTube-VIS with VidEoMT on DINOv3) or 544 (OVIS). Frames are padded after normalisation, in the
# data preprocessor.
_sizes = [(768, short_side) for short_side in (320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640)]
_sizes_before_crop = [(1333, short_side) for short_side in (400, 500, 600)]
_resize = dict(type='RandomChoiceResize', resize_type='mmdet.Resize', keep_ratio=True)
_load_and_augment = dict(
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
                    share_random_params=True,  # the frames of a clip are resized, cropped and flipped alike
                    transforms=[
                        dict(_resize, scales=_sizes_before_crop),
                        dict(
                            type='mmdet.RandomCrop',
                            crop_type='absolute_range',
                            crop_size=(384, 600),
                            allow_negative_crop=True),
                    ])
            ]),
        dict(
            type='TransformBroadcaster',
            share_random_params=True,
            transforms=[dict(_resize, scales=_sizes), dict(type='mmdet.RandomFlip', prob=0.5)]),
        dict(type='RotatePseudoVideo', max_angle=15),
    ])

train_pipeline = [
    dict(type='SampleClip', num_frames=5, frame_range=2), _load_and_augment, dict(type='PackVideoSegInputs')
]
long_train_pipeline = [
    dict(type='SampleClip', num_frames=15, frame_range=5, replace=True), _load_and_augment,
    dict(type='PackVideoSegInputs')
]
test_pipelines = {
    f'short{short_side}': [
        dict(type='SampleAllFrames'),
        dict(
            type='TransformBroadcaster',
            transforms=[
                dict(type='LoadFrameFromFile'),
                dict(type='mmdet.Resize', scale=(1333, short_side), keep_ratio=True),
            ]),
        dict(type='PackVideoSegInputs'),
    ]
    for short_side in (448, 480, 544)
}
