# What the plans on VSPW have in common: the full configs on eight GPUs, one seed as in the paper (take three to tell
# what is noise). Hidden patches in testing: 32 pixels, as in training.
data_root = 'data/VSPW_480p'
config = '../dvispp_r50_vspw.py'
baseline = 'baseline'
seeds = [0]
evaluations = [
    dict(name='clean', attention=True),
    dict(name='masked30', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.3)),
    dict(name='masked50', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.5)),
    dict(name='masked70', mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.7)),
]
of_segmenter = [
    dict(name='mIoU', stage='segmenter', number='vss/mIoU'),
    dict(name='mIoU, 50 % hidden', stage='segmenter', number='vss/mIoU', evaluation='masked50'),
]
of_tracker = [
    dict(name='mIoU', stage='online', number='vss/mIoU'),
    dict(name='VC8', stage='online', number='vss/VC8'),
    dict(name='VC16', stage='online', number='vss/VC16'),
    dict(name='mIoU, 50 % hidden', stage='online', number='vss/mIoU', evaluation='masked50'),
]
of_refiner = [
    dict(name='mIoU', stage='offline', number='vss/mIoU'),
    dict(name='VC8', stage='offline', number='vss/VC8'),
    dict(name='VC16', stage='offline', number='vss/VC16'),
    dict(name='background attention', stage='offline', number='attention/background', higher_is_better=False),
]
