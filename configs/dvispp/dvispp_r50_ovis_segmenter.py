_base_ = [
    '../_base_/models/segmenter_r50.py', '../_base_/datasets/ovis.py',
    '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(num_classes=_base_.num_classes, postprocessor=_base_.postprocessor)
optim_wrapper = dict(optimizer=dict(lr=5e-5))
train_cfg = dict(max_iters=32000, val_interval=32000)
param_scheduler = dict(milestones=[12000, 24000])
# Mask2Former trained on COCO, by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
load_from = 'checkpoints/mask2former_r50_coco-instance.pth'
