# What the plans about robustness have in common: hidden, corrupted and lost frames, after each stage of an
# encoder-only model. Spatter is rain on the lens.
baseline = 'baseline'
seeds = [0, 1, 2, 3, 4]
level = 2  # of 5
kinds = dict(noise='gaussian_noise', blur='defocus_blur', jpeg='jpeg_compression', rain='spatter')
corrupted = [
    *[
        dict(name=name, corruption=dict(type='CorruptFrames', corruption=kind, severity=level))
        for name, kind in kinds.items()
    ],
    dict(name='dropped50', corruption=dict(type='DropFrames', prob=0.5)),
]
of_frames = dict(
    masked30='30 % hidden',
    masked50='50 % hidden',
    masked70='70 % hidden',
    noise='noise',
    blur='blur',
    jpeg='JPEG',
    rain='rain',
    dropped50='50 % of frames dropped')
of_stages = dict(segmenter='image', online='video')
metrics = [
    metric for stage, name in of_stages.items() for metric in [
        dict(name=f'{name} mIoU', stage=stage, number='vss/mIoU'),
        *[
            dict(name=f'{name} mIoU, {frames}', stage=stage, number='vss/mIoU', evaluation=evaluation)
            for evaluation, frames in of_frames.items()
        ],
        *[
            dict(
                name=f'{name} fall, {frames}',
                stage=stage,
                number='vss/mIoU',
                minus=evaluation,
                higher_is_better=False) for evaluation, frames in of_frames.items()
        ],
        dict(name=f'{name} VC8', stage=stage, number='vss/VC8'),
        *[
            dict(name=f'{name} VC8, {frames}', stage=stage, number='vss/VC8', evaluation=evaluation)
            for evaluation, frames in of_frames.items() if evaluation in ('masked50', 'noise', 'rain', 'dropped50')
        ],
    ]
]
