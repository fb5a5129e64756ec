# The small model for video panoptic segmentation, on generated videos in the format of VIPSeg
# (tools/dataset_converters/make_synthetic.py --formats vipseg).
_base_ = ['../dvispp/dvispp_r18_synthetic.py', '../_base_/mvc.py']

data_root = 'data/synthetic/vipseg'
_dataset = dict(
    _delete_=True, type='VIPSegDataset', data_root=data_root, metainfo=dict(classes=_base_.metainfo.classes))
train_dataloader = dict(
    dataset=dict(_dataset, ann_file='panoptic_gt_VIPSeg_train.json', pipeline=_base_.train_pipeline))
_val = dict(_dataset, ann_file='panoptic_gt_VIPSeg_val.json', pipeline=_base_.test_pipeline, test_mode=True)
val_dataloader = dict(dataset=dict(_val))
test_dataloader = dict(dataset=dict(_val))
val_evaluator = dict(type='VPSMetric', ann_file=f'{data_root}/panoptic_gt_VIPSeg_val.json')
test_evaluator = val_evaluator
model = dict(
    postprocessor=dict(type='VPSPostprocessor', thing_classes=[4, 5, 6, 7, 8, 9]),
    refiner=dict(cross_attn=_base_.oma))
stages = _base_.mvc_stages
