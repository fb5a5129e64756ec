# Stage 2: one mask for all frames of a clip (TubeMask, arXiv 2408.10627, Eq. 5) against one for each.
_base_ = './_variants.py'

variants = [
    dict(name='baseline', overrides=dict(online=_base_.no_mvc2)),
    dict(name='tube'),
    dict(name='per_frame', overrides=dict(online={f'{_base_.mask2}.type': 'RandomPatchMask'})),
]
