# The small model with pretrained weights for video panoptic segmentation, on CamVid with segments, in the layout of
# VIPSeg. CamVid labels classes only: whoever has segments for it converts them
# (mmvc convert annotations PANOPTIC.json data/camvid_vps --format coco-panoptic --layout panoptic --ids-are-tracks).
_base_ = ['../dvispp/dvispp_efflite0_camvid.py', '../_base_/mvc.py']

data_root = 'data/camvid_vps'
classes = ('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'signsymbol', 'fence', 'car', 'pedestrian',
           'bicyclist')
_dataset = dict(_delete_=True, type='VIPSegDataset', data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(_dataset, ann_file='panoptic_gt_VIPSeg_train.json', pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(_dataset, ann_file='panoptic_gt_VIPSeg_val.json', pipeline=_base_.test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VPSMetric', ann_file=f'{data_root}/panoptic_gt_VIPSeg_val.json')
test_evaluator = val_evaluator
model = dict(
    postprocessor=dict(type='VPSPostprocessor', thing_classes=[8, 9, 10]), refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
