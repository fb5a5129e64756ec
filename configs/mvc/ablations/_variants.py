# What the plans vary, by the table of arXiv 2408.10627. A plan takes one list: `variants = _base_.tab4`.
mask1 = 'train_dataloader.dataset.pipeline.RandomPatchMask'  # of the segmenter
mask2 = 'train_dataloader.dataset.pipeline.TubeMask'  # of the tracker
no_mvc1 = {f'{mask1}.prob': 0.0}
no_mvc2 = {f'{mask2}.prob': 0.0}
no_oma = {'model.refiner.cross_attn.drop_ratio': 0.0}

# Tab. 4: MVC-1, MVC-2 and OMA, one after the other.
tab4 = [
    dict(name='baseline', overrides=dict(segmenter=no_mvc1, online=no_mvc2, offline=no_oma)),
    dict(name='mvc1', overrides=dict(online=no_mvc2, offline=no_oma)),
    dict(name='mvc1_mvc2', overrides=dict(offline=no_oma)),
    dict(name='mvc1_mvc2_oma'),
]
of_stages = [
    dict(name='segmenter mIoU', stage='segmenter', number='vss/mIoU'),
    dict(name='+ tracker mIoU', stage='online', number='vss/mIoU'),
    dict(name='+ refiner mIoU', stage='offline', number='vss/mIoU'),
]
of_masked = [
    dict(name='mIoU, 30 % hidden', stage='offline', number='vss/mIoU', evaluation='masked30'),
    dict(name='mIoU, 50 % hidden', stage='offline', number='vss/mIoU', evaluation='masked50'),
    dict(name='mIoU, 70 % hidden', stage='offline', number='vss/mIoU', evaluation='masked70'),
    dict(name='fall, 50 % hidden', stage='offline', number='vss/mIoU', minus='masked50', higher_is_better=False),
]

# Tab. 6: drop ratio d of OMA, without and with dropping in testing ("Masked Inf."; the same weights).
_drop = 'model.refiner.cross_attn'
tab6 = [
    dict(name='baseline', overrides=dict(offline={f'{_drop}.drop_ratio': 0.0})),
    *[dict(name=f'd{d}', overrides=dict(offline={f'{_drop}.drop_ratio': d})) for d in (0.2, 0.5, 0.7)],
    *[
        dict(
            name=f'd{d}_masked_inference',
            overrides=dict(offline={f'{_drop}.drop_ratio': d}),
            test_overrides=dict(offline={f'{_drop}.mask_at_test': True})) for d in (0.2, 0.5, 0.7)
    ],
]

# What the papers leave open in stage 1: "switch" (arXiv 2408.10627, Eq. 4) with the probability p of masking, against
# "sum" (arXiv 2406.04979, Eq. 4), each with the weight lambda (l) of the masked loss. "sum" sees every clip twice.
_weight = 'model.masked_loss_weight'
loss = [
    dict(name='baseline', overrides=dict(segmenter=no_mvc1)),
    *[
        dict(name=f'switch_p{p}_l{lam}', overrides=dict(segmenter={
            f'{mask1}.prob': p,
            _weight: lam
        })) for p, lam in ((0.25, 1.0), (0.5, 1.0), (0.75, 1.0), (0.5, 0.5), (0.5, 2.0))
    ],
    *[
        dict(
            name=f'sum_l{lam}', overrides=dict(segmenter={
                mask1: dict(mode='sum', prob=None),
                _weight: lam
            })) for lam in (0.5, 1.0)
    ],
]

# Stage 2: one mask for all frames of a clip (TubeMask, arXiv 2408.10627, Eq. 5) against one for each frame.
tube = [
    dict(name='baseline', overrides=dict(online=no_mvc2)),
    dict(name='tube'),
    dict(name='per_frame', overrides=dict(online={f'{mask2}.type': 'RandomPatchMask'})),
]
