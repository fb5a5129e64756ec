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
# Levels 1 and 3 of 5: they are made for photographs, and frames of 64 x 96 pixels are small. Blur is the stronger the
# smaller a frame is. Spatter is rain on the lens.
_levels = [(name, kind, level)
           for name, kind in (('noise', 'gaussian_noise'), ('blur', 'defocus_blur'), ('jpeg', 'jpeg_compression'),
                              ('rain', 'spatter')) for level in (1, 3)]
_hidden = (30, 50, 70)
_dropped = (20, 50)
evaluations = [
    dict(name='clean'),
    *[
        dict(
            name=f'masked{percent}',
            stages=['online'],
            mask=dict(type='RandomPatchMask', patch_size=patch_size, mask_ratio=percent / 100)) for percent in _hidden
    ],
    *[
        dict(
            name=f'{name}{level}',
            stages=['online'],
            corruption=dict(type='CorruptFrames', corruption=kind, severity=level)) for name, kind, level in _levels
    ],
    *[
        dict(name=f'drop{percent}', stages=['online'], corruption=dict(type='DropFrames', prob=percent / 100))
        for percent in _dropped
    ],
]
metrics = [
    dict(name='image stage mIoU', stage='segmenter', number='vss/mIoU'),
    dict(name='mIoU', stage='online', number='vss/mIoU'),
    dict(name='VC8', stage='online', number='vss/VC8'),
    *[
        dict(name=f'mIoU, {percent} % hidden', stage='online', number='vss/mIoU', evaluation=f'masked{percent}')
        for percent in _hidden
    ],
    *[
        dict(name=f'mIoU, {name} {level}', stage='online', number='vss/mIoU', evaluation=f'{name}{level}')
        for name, _, level in _levels
    ],
    *[
        dict(name=f'mIoU, {percent} % dropped', stage='online', number='vss/mIoU', evaluation=f'drop{percent}')
        for percent in _dropped
    ],
    *[
        dict(name=f'VC8, {name}', stage='online', number='vss/VC8', evaluation=name)
        for name in ('masked50', 'noise3', 'rain3', 'drop50')
    ],
]
