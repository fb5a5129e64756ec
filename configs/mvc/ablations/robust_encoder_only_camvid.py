# Is robustness what masking gives the encoder-only model? LVMT in miniature on CamVid: three drives to train on, one
# clip of 101 frames to test on.
_base_ = './_robust.py'

title = 'MVC and dropped keys on the encoder-only model, CamVid'
data_root = 'data/camvid'
config = '../lvmt_tiny_camvid.py'
variants = [
    dict(name='baseline', config='../../lvmt/lvmt_tiny_camvid.py'),
    dict(name='mvc_drop'),
    dict(name='mvc', overrides=dict(online={'model.query_dropping': None})),
]
evaluations = [
    dict(name='clean'),
    *[
        dict(name=f'masked{percent}', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=percent / 100))
        for percent in (30, 50, 70)
    ],
    *_base_.corrupted,
]
