# Does OMA help where the refiner must look at other frames? Most things show their class in one frame of four, and
# most queries are background.
_base_ = './_variants.py'

title = 'OMA where things show their class in a few frames, generated videos'
data = dict(
    out_dir='data/synthetic_glimpse',
    preset='glimpse',
    size=(64, 96),
    num_frames=24,
    num_train=300,
    num_val=16,
    num_things=(3, 5),
    thing_radius=(0.2, 0.32),
    with_objects=True)
data_root = 'data/synthetic_glimpse/vspw'
config = './glimpse.py'
baseline = 'baseline'
seeds = [0, 1, 2, 3, 4]
variants = [
    dict(name='baseline', overrides=dict(offline=_base_.no_oma)),
    dict(name='oma'),
]
evaluations = [
    dict(name='clean', attention=True),
    # the same weights, tested without any background key
    dict(
        name='no_background',
        stages=['offline'],
        overrides={
            'model.refiner.cross_attn.drop_ratio': 1.0,
            'model.refiner.cross_attn.mask_at_test': True
        }),
]
metrics = [
    *_base_.of_stages,
    dict(name='mIoU without background keys', stage='offline', number='vss/mIoU', evaluation='no_background'),
    dict(name='VC8', stage='offline', number='vss/VC8'),
    dict(name='VC16', stage='offline', number='vss/VC16'),
    dict(name='mAcc, glimpse', stage='offline', number='objects/mAcc_glimpse'),
    dict(name='class switches', stage='offline', number='objects/class_switches', higher_is_better=False),
    dict(name='background attention', stage='offline', number='attention/background', higher_is_better=False),
]
