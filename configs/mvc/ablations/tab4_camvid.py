# Three drives to train on, one clip of 101 frames to test on.
_base_ = './_variants.py'

title = 'MVC-1, MVC-2 and OMA one after the other, CamVid'
data_root = 'data/camvid'
config = '../dvispp_r18_camvid.py'
baseline = 'baseline'
seeds = [0, 1, 2]
evaluations = [
    dict(name='clean', attention=True),
    dict(name='masked30', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.3)),
    dict(name='masked50', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.5)),
    dict(name='masked70', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.7)),
]
of_refiner = [
    dict(name='mIoU', stage='offline', number='vss/mIoU'),
    dict(name='VC8', stage='offline', number='vss/VC8'),
    dict(name='VC16', stage='offline', number='vss/VC16'),
    dict(name='background attention', stage='offline', number='attention/background', higher_is_better=False),
]
variants = _base_.tab4
metrics = [*_base_.of_stages, *of_refiner[1:], *_base_.of_masked]
