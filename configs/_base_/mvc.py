# Masked Video Consistency (MVC) and Object Masked Attention (OMA): every setting of the method, in one place. A config
# adds them to a baseline: `model = dict(refiner=dict(cross_attn=_base_.oma))` and `stages = _base_.mvc_stages`.
mvc = dict(patch_size=32, mask_ratio=0.7, prob=0.5)
masked_loss_weight = 1.0  # lambda
oma = dict(drop_ratio=0.5, threshold=0.6)
mvc_stages = dict(
    segmenter=dict(model=dict(masked_loss_weight=masked_loss_weight), mask=dict(type='RandomPatchMask', **mvc)),
    online=dict(model=dict(masked_loss_weight=masked_loss_weight), mask=dict(type='TubeMask', **mvc)))

# The other form of the loss (arXiv 2406.04979, Eq. 4): every clip is trained on as it is and, in a second pass,
# masked. That takes twice the time, but not twice the memory.
mvc_sum = dict(patch_size=32, mask_ratio=0.7, mode='sum')
_two_passes = dict(
    model=dict(masked_loss_weight=masked_loss_weight),
    model_wrapper_cfg=dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False))
mvc_sum_stages = dict(
    segmenter=dict(**_two_passes, mask=dict(type='RandomPatchMask', **mvc_sum)),
    online=dict(**_two_passes, mask=dict(type='TubeMask', **mvc_sum)))
