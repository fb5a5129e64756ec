# Is robustness what masking gives the encoder-only model? LVMT in miniature on generated videos of 64 x 96 pixels. The
# data have their own seed: no setting was chosen on them.
title = 'MVC and dropped keys on the encoder-only model, generated videos'
data = dict(
    out_dir='data/synthetic_robust', size=(64, 96), num_frames=16, num_train=60, num_val=16, seed=1)
data_root = 'data/synthetic_robust/vspw'
config = '../lvmt_tiny_synthetic.py'
baseline = 'baseline'
seeds = [0, 1, 2, 3, 4]
patch_size = 16  # a frame has 4 x 6 patches
mask1 = {'train_dataloader.dataset.pipeline.RandomPatchMask.patch_size': patch_size}
mask2 = {'train_dataloader.dataset.pipeline.TubeMask.patch_size': patch_size}
variants = [
    dict(name='baseline', config='../../lvmt/lvmt_tiny_synthetic.py'),
    dict(name='mvc_drop', overrides=dict(segmenter=mask1, online=mask2)),
    dict(
        name='mvc',
        overrides=dict(segmenter=mask1, online={
            **mask2, 'model.query_dropping': None
        })),
]
# Level 2 of 5: the levels are made for photographs, and on frames of 64 x 96 pixels they are harder. Spatter is rain
# on the lens.
level = 2
kinds = dict(noise='gaussian_noise', blur='defocus_blur', jpeg='jpeg_compression', rain='spatter')
evaluations = [
    dict(name='clean'),
    *[
        dict(
            name=f'masked{percent}',
            mask=dict(type='RandomPatchMask', patch_size=patch_size, mask_ratio=percent / 100))
        for percent in (30, 50, 70)
    ],
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
