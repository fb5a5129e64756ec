# YouTube-VIS 2022: 40 classes and the training set of 2021; the validation set is that of 2021 and 71 long videos. The
# training set is mixed 1:1 with clips that are made from frames of COCO. The annotations of the validation set are not
# public: results are written for the server. If you have them, `--cfg-options test_evaluator.format_only=False
# test_evaluator.ann_file=data/youtube_vis_2022/gt.json` scores all videos, the short ones (S) and the long ones (L) in
# one test. A config adds the pipelines.
dataset_type = 'YouTubeVISDataset'
data_root = 'data/youtube_vis_2022'
coco_root = 'data/coco'

_videos = dict(type=dataset_type, version='2022', data_root=data_root)
_coco = dict(
    type='COCOPseudoVideoDataset',
    target='youtube_vis_2021',
    data_root=coco_root,
    ann_file='annotations/instances_train2017.json')
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='JointDataset', ratio=(1, 1), datasets=[dict(_videos, split='train'), _coco]))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_videos, split='valid', test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='VISMetric',
    format_only=True,
    data_root=data_root,
    output_dir='work_dirs/results/youtube_vis_2022',
    subsets=dict(S=f'{data_root}/gt_short.json', L=f'{data_root}/gt_long.json'))
test_evaluator = val_evaluator
num_classes = 40
postprocessor = dict(type='VISPostprocessor', max_per_video=10)
