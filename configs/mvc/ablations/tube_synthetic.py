# Stage 2: one mask for all frames of a clip (TubeMask, arXiv 2408.10627, Eq. 5) against one for each.
_base_ = './_testbed.py'

title = 'Tube masks against masks per frame in stage 2, generated videos'
variants = [
    dict(name='baseline', overrides=dict(online=_base_.no_mvc2)),
    dict(name='tube'),
    dict(name='per_frame', overrides=dict(online={f'{_base_.mask2}.type': 'RandomPatchMask'})),
]
metrics = _base_.of_tracker
