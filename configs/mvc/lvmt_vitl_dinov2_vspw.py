_base_ = ['../lvmt/lvmt_vitl_dinov2_vspw.py', '../_base_/mvc.py']

model = dict(masked_loss_weight=_base_.masked_loss_weight, query_dropping=_base_.oma)
_pipeline = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(dataset=dict(pipeline=[*_pipeline[:-1], _base_.mvc_stages.online.mask, _pipeline[-1]]))
load_from = 'checkpoints/mvc/lvmt_vitl_dinov2_vspw_segmenter.pth'
stages = dict(segmenter=_base_.mvc_stages.segmenter)
