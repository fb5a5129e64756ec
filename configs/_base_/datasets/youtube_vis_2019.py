# YouTube-VIS 2019 (40 classes), mixed 1:1 with pseudo-videos of COCO.
_base_ = './vis_with_coco.py'

dataset_type = 'YouTubeVISDataset'
data_root = 'data/youtube_vis_2019'
coco_root = 'data/coco'

video_dataset = dict(type=dataset_type, version='2019', data_root=data_root)
coco_dataset = dict(
    type='COCOPseudoVideoDataset',
    target='youtube_vis_2019',
    data_root=coco_root,
    ann_file='annotations/instances_train2017.json')
train_dataloader = dict(dataset=dict(datasets=[dict(video_dataset, split='train'), coco_dataset]))
val_dataloader = dict(dataset=video_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(data_root=data_root, output_dir='work_dirs/results/youtube_vis_2019')
test_evaluator = val_evaluator
num_classes = 40
postprocessor = dict(type='VISPostprocessor', max_per_video=10)
