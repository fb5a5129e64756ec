# Tab. 4 with four times the iterations of the other plans: does masking need a longer training?
_base_ = ['./_testbed.py', './_variants.py']

title = 'MVC-1, MVC-2 and OMA after 1,600 + 800 + 600 iterations, generated videos'
iters1 = {'train_cfg.max_iters': 1600, 'train_cfg.val_interval': 1600, 'param_scheduler.CosineAnnealingLR.end': 1600}
iters2 = {'train_cfg.max_iters': 800, 'train_cfg.val_interval': 800, 'param_scheduler.CosineAnnealingLR.end': 800}
iters3 = {'train_cfg.max_iters': 600, 'train_cfg.val_interval': 600, 'param_scheduler.CosineAnnealingLR.end': 600}
no_mvc1 = dict(_base_.no_mvc1, **iters1)
no_mvc2 = dict(_base_.no_mvc2, **iters2)
no_oma = dict(_base_.no_oma, **iters3)
variants = [
    dict(name='baseline', overrides=dict(segmenter=no_mvc1, online=no_mvc2, offline=no_oma)),
    dict(name='mvc1', overrides=dict(segmenter=iters1, online=no_mvc2, offline=no_oma)),
    dict(name='mvc1_mvc2', overrides=dict(segmenter=iters1, online=iters2, offline=no_oma)),
    dict(name='mvc1_mvc2_oma', overrides=dict(segmenter=iters1, online=iters2, offline=iters3)),
]
metrics = [*_base_.of_stages, *_base_.of_refiner[1:], *_base_.of_masked]
