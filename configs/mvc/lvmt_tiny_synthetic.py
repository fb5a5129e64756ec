_base_ = ['../lvmt/lvmt_tiny_synthetic.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight, query_dropping=_base_.oma)
train_pipeline = [*_base_.train_pipeline[:-1], _base_.mvc_stages.online.mask, _base_.train_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
stages = dict(segmenter=_base_.mvc_stages.segmenter)
