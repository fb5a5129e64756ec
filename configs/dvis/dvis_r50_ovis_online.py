# The baseline in the manner of DVIS, in DVIS++'s implementation: no re-identification branch, so that tracker and
# refiner work on the decoder's 256 channels, and no contrastive losses.
_base_ = ['../minvis/minvis_r50_ovis.py', '../_base_/models/tracker.py']

model = dict(type='DVISOnline', tracker=dict(_base_.tracker, embed_dims=256, reid_loss=None))
train_pipeline = [dict(type='SampleClip', num_frames=5, frame_range=2), *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
load_from = 'checkpoints/minvis/minvis_r50_ovis.pth'
