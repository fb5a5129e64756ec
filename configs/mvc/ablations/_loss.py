# What the papers leave open in stage 1: "switch" (arXiv 2408.10627, Eq. 4) with the probability p of masking, against
# "sum" (arXiv 2406.04979, Eq. 4), each with the weight lambda (l) of the masked loss. "sum" sees every clip twice.
_base_ = './_variants.py'

weight = 'model.masked_loss_weight'
variants = [
    dict(name='baseline', overrides=dict(segmenter=_base_.no_mvc1)),
    *[
        dict(name=f'switch_p{p}_l{lam}', overrides=dict(segmenter={
            f'{_base_.mask1}.prob': p,
            weight: lam
        })) for p, lam in ((0.25, 1.0), (0.5, 1.0), (0.75, 1.0), (0.5, 0.5), (0.5, 2.0))
    ],
    *[
        dict(
            name=f'sum_l{lam}',
            overrides=dict(segmenter={
                _base_.mask1: dict(mode='sum', prob=None),
                weight: lam
            })) for lam in (0.5, 1.0)
    ],
]
