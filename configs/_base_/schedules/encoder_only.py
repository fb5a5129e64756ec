# Encoder-only models (VidEoMT, PMT, LVMT) on 8 GPUs: AdamW with mixed precision, weight decay on all parameters, and
# layer-wise learning-rate decay in the encoder, if that is trained. The official configurations set a gradient
# clipping of 0.01, but their code never applies it, so it is left out. A config chooses one of the two schedules as
# `param_scheduler` and states what its dataset and its stages change.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(decay_rate=0.6))
# the encoder starts when the new parameters have warmed up: VidEoMT and the image stage
two_phase_schedule = dict(
    type='WarmupPolyLR', warmup_iters=500, encoder_warmup_iters=1000, power=0.9, by_epoch=False)
# one warm-up for all: PMT and LVMT; the None lets a stage change from the other schedule to this one
one_phase_schedule = dict(
    type='WarmupPolyLR', warmup_iters=6000, encoder_warmup_iters=None, power=0.9, by_epoch=False)
train_cfg = dict(type='ResumableTrainLoop', max_iters=40000, val_interval=40000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=8)
