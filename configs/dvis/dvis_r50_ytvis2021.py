# The baseline in the manner of DVIS, in the implementation of DVIS++: the segmenter has no re-identification branch,
# so tracker and refiner work on the 256 channels of its decoder, and there are no contrastive losses.
_base_ = [
    '../_base_/models/segmenter.py', '../_base_/models/dvispp.py', '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/pipelines/dvispp_vis.py', '../_base_/schedules/dvispp.py', '../_base_/default_runtime.py'
]

model = dict(
    type='DVISOffline',
    num_classes=_base_.num_classes,
    postprocessor=_base_.postprocessor,
    head=dict(with_reid=False, reid_loss=None),
    tracker=dict(_base_.tracker, embed_dims=256, reid_loss=None),
    refiner=dict(_base_.refiner, embed_dims=256, reid_loss=None))
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = dict(milestones=[28000])
load_from = 'checkpoints/dvis/dvis_r50_ytvis2021_online.pth'
stages = dict(
    segmenter=dict(
        sample_clip=dict(num_frames=1, frame_range=0),
        # Mask2Former trained on COCO, converted by tools/model_converters/dvispp_to_mmvc.py --drop-class-head
        load_from='checkpoints/mask2former_r50_coco-instance.pth'),
    online=dict(load_from='checkpoints/minvis/minvis_r50_ytvis2021.pth'))
