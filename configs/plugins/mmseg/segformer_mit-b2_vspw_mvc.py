# The same with hidden patches: masking is data, the model knows nothing of it.
_base_ = ['./segformer_mit-b2_vspw.py', '../../_base_/mvc.py']

train_pipeline = [
    *_base_.train_pipeline[:-1], dict(type='mmvc.RandomPatchMask', **_base_.mvc), _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
