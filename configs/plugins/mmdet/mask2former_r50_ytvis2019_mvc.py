# The same with hidden patches, the same ones in both frames of a clip.
_base_ = ['./mask2former_r50_ytvis2019.py', '../../_base_/mvc.py']

train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='mmvc.TubeMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
