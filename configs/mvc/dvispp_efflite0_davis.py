# The small model with pretrained weights for video instance segmentation, on DAVIS 2017. Its objects have no
# categories, so there is one class (mmvc convert annotations DAVIS data/davis --split 2017/train --layout instances).
_base_ = ['../dvispp/dvispp_efflite0_camvid.py', '../_base_/mvc.py']

data_root = 'data/davis'
load_and_augment = dict(
    type='TransformBroadcaster',
    share_random_params=True,  # the frames of a clip are resized, flipped and coloured alike
    transforms=[
        dict(type='LoadFrameFromFile'),
        dict(type='LoadFrameInstances'),
        dict(
            type='RandomResize', resize_type='mmdet.Resize', scale=(427, 240), ratio_range=(0.5, 1.0),
            keep_ratio=True),
        dict(type='mmdet.RandomFlip', prob=0.5),
        dict(type='mmdet.PhotoMetricDistortion'),
    ])
train_pipeline = [_base_.train_pipeline[0], load_and_augment, _base_.train_pipeline[-1]]
_load_and_resize = [dict(type='LoadFrameFromFile'), dict(type='mmdet.Resize', scale=(427, 240), keep_ratio=True)]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='TransformBroadcaster', transforms=_load_and_resize),
    _base_.test_pipeline[-1],
]
_dataset = dict(
    _delete_=True, type='YouTubeVISDataset', data_root=data_root, metainfo=dict(classes=('object', )))
train_dataloader = dict(dataset=dict(_dataset, split='train', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(_dataset, split='valid', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VISMetric', data_root=data_root)
test_evaluator = val_evaluator
model = dict(
    num_classes=1,
    postprocessor=dict(type='VISPostprocessor', max_per_video=10),
    refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
