# VSPW (124 classes), the 480p release, as single frames for MMSegmentation: crops in training, whole frames in tests.
custom_imports = dict(imports=['mmvc'])
dataset_type = 'VSPWImageDataset'
data_root = 'data/VSPW_480p'
num_classes = 124
crop_size = (480, 480)
data_preprocessor = dict(
    type='mmseg.SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    seg_pad_val=255,
    size=crop_size)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='RandomResize', scale=(2048, 480), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='mmseg.RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='mmseg.PackSegInputs',
        meta_keys=('video_id', 'frame_id', 'video_length', 'img_path', 'seg_map_path', 'ori_shape', 'img_shape')),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='WholeVideoSampler'),  # VC needs a video's frames in order, on one rank
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='val.txt', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VSSMetric')
test_evaluator = val_evaluator
