# Stage 1 with four times the iterations of the other plans: does masking need a longer training?
_base_ = ['./_testbed.py', './_variants.py']

title = 'MVC-1 after 1,600 iterations, generated videos'
schedule = {
    'train_cfg.max_iters': 1600,
    'train_cfg.val_interval': 1600,
    'param_scheduler.CosineAnnealingLR.end': 1600
}
variants = [
    dict(name='baseline', overrides=dict(segmenter=dict(_base_.no_mvc1, **schedule))),
    dict(name='mvc1', overrides=dict(segmenter=schedule)),
]
metrics = _base_.of_segmenter
