# DVIS++ on 8 GPUs: 20k iterations, a tenth of the rate after 14k, mixed precision. The official warm-up (10 iterations
# at the full rate) changes nothing and is left out. A leaf states what its dataset and its stage change. A later stage
# run alone starts from `load_from`, checkpoints/<config of the stage before>.pth; all stages in one go need none.
_base_ = './adamw.py'

optim_wrapper = dict(type='AmpOptimWrapper')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=20000)
param_scheduler = dict(type='MultiStepLR', milestones=[14000], gamma=0.1, by_epoch=False)
auto_scale_lr = dict(base_batch_size=8)
