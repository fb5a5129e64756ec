# Tab. 5 of arXiv 2408.10627, first half: patch size x mask ratio in stage 1.
_base_ = ['./_vspw.py', './_variants.py']

title = 'Patch size (s) x mask ratio (r) of MVC-1, VSPW'
variants = [
    dict(name='baseline', overrides=dict(segmenter=_base_.no_mvc1)),
    *[
        dict(
            name=f's{size}_r{ratio}',
            overrides=dict(segmenter={
                f'{_base_.mask1}.patch_size': size,
                f'{_base_.mask1}.mask_ratio': ratio
            })) for size in (16, 32, 64) for ratio in (0.3, 0.5, 0.7)
    ],
]
metrics = _base_.of_segmenter
