# The small model for video instance segmentation, on generated videos in the format of YouTube-VIS
# (tools/dataset_converters/make_synthetic.py --formats ytvis).
_base_ = ['../dvispp/dvispp_r18_synthetic.py', '../_base_/mvc.py']

data_root = 'data/synthetic/ytvis'
_load = [dict(type='LoadFrameFromFile'), dict(type='LoadFrameInstances')]
train_pipeline = [
    _base_.train_pipeline[0],
    dict(_base_.load_and_augment, transforms=[*_load, *_base_.load_and_augment.transforms[2:]]),
    _base_.train_pipeline[-1],
]
_dataset = dict(
    type='YouTubeVISDataset',
    data_root=data_root,
    metainfo=dict(classes=('ball', 'crate', 'flower', 'fish', 'kite', 'ring')))
train_dataloader = dict(dataset=dict(_dataset, _delete_=True, split='train', pipeline=train_pipeline))
_val = dict(_dataset, _delete_=True, split='valid', pipeline=_base_.test_pipeline, test_mode=True)
val_dataloader = dict(dataset=dict(_val))
test_dataloader = dict(dataset=dict(_val))
val_evaluator = dict(type='VISMetric', data_root=data_root)
test_evaluator = val_evaluator
model = dict(
    num_classes=6,
    postprocessor=dict(type='VISPostprocessor', max_per_video=10),
    refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
