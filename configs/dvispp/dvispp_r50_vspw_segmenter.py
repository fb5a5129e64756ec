_base_ = [
    '../_base_/models/segmenter_r50.py', '../_base_/datasets/vspw.py',
    '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(num_classes=_base_.num_classes, postprocessor=_base_.postprocessor)
param_scheduler = dict(milestones=[14000, 18000])
auto_scale_lr = dict(base_batch_size=16)
# Mask2Former trained on COCO, by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_r50_coco-panoptic.pth'
