# What the plans on generated videos have in common. A class is often told by the surroundings or the motion of a thing
# alone, things hide one another, textures mislead, and there are few training videos (see make_synthetic.py --help).
data = dict(
    out_dir='data/synthetic_testbed',
    preset='testbed',
    size=(64, 96),
    num_frames=16,
    num_train=24,
    num_val=12,
    void_blob_prob=0.2,
    with_objects=True)
data_root = 'data/synthetic_testbed/vspw'
config = './testbed.py'
baseline = 'baseline'
seeds = [0, 1, 2]
evaluations = [
    dict(name='clean', attention=True),
    dict(name='masked30', mask=dict(type='RandomPatchMask', patch_size=16, mask_ratio=0.3)),
    dict(name='masked50', mask=dict(type='RandomPatchMask', patch_size=16, mask_ratio=0.5)),
    dict(name='masked70', mask=dict(type='RandomPatchMask', patch_size=16, mask_ratio=0.7)),
]
of_segmenter = [
    dict(name='mIoU', stage='segmenter', number='vss/mIoU'),
    dict(name='mIoU, occluded', stage='segmenter', number='objects/mIoU_occluded'),
    dict(name='mAcc, context', stage='segmenter', number='objects/mAcc_context'),
    dict(name='mIoU, 30 % hidden', stage='segmenter', number='vss/mIoU', evaluation='masked30'),
    dict(name='mIoU, 50 % hidden', stage='segmenter', number='vss/mIoU', evaluation='masked50'),
    dict(name='mIoU, 70 % hidden', stage='segmenter', number='vss/mIoU', evaluation='masked70'),
    dict(name='fragments', stage='segmenter', number='objects/fragments', higher_is_better=False),
]
of_tracker = [
    dict(name='mIoU', stage='online', number='vss/mIoU'),
    dict(name='VC8', stage='online', number='vss/VC8'),
    dict(name='mIoU, occluded', stage='online', number='objects/mIoU_occluded'),
    dict(name='mAcc, context', stage='online', number='objects/mAcc_context'),
    dict(name='mAcc, motion', stage='online', number='objects/mAcc_motion'),
    dict(name='mIoU, 50 % hidden', stage='online', number='vss/mIoU', evaluation='masked50'),
    dict(name='class switches', stage='online', number='objects/class_switches', higher_is_better=False),
]
of_refiner = [
    dict(name='mIoU', stage='offline', number='vss/mIoU'),
    dict(name='VC8', stage='offline', number='vss/VC8'),
    dict(name='mIoU, occluded', stage='offline', number='objects/mIoU_occluded'),
    dict(name='mAcc, context', stage='offline', number='objects/mAcc_context'),
    dict(name='mAcc, motion', stage='offline', number='objects/mAcc_motion'),
    dict(name='fragments', stage='offline', number='objects/fragments', higher_is_better=False),
    dict(name='class switches', stage='offline', number='objects/class_switches', higher_is_better=False),
    dict(name='background attention', stage='offline', number='attention/background', higher_is_better=False),
]
