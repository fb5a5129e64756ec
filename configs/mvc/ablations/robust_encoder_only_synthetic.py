# Is robustness what masking gives the encoder-only model? LVMT in miniature on generated videos of 64 x 96 pixels. The
# data have their own seed: no setting was chosen on them. The levels of the corruptions are made for photographs; on
# frames of this size they are harder.
_base_ = './_robust.py'

title = 'MVC and dropped keys on the encoder-only model, generated videos'
data = dict(
    out_dir='data/synthetic_robust', size=(64, 96), num_frames=16, num_train=60, num_val=16, seed=1)
data_root = 'data/synthetic_robust/vspw'
config = '../lvmt_tiny_synthetic.py'
patch_size = 16  # a frame has 4 x 6 patches
mask1 = {'train_dataloader.dataset.pipeline.RandomPatchMask.patch_size': patch_size}
mask2 = {'train_dataloader.dataset.pipeline.TubeMask.patch_size': patch_size}
variants = [
    dict(name='baseline', config='../../lvmt/lvmt_tiny_synthetic.py'),
    dict(name='mvc_drop', overrides=dict(segmenter=mask1, online=mask2)),
    dict(
        name='mvc',
        overrides=dict(segmenter=mask1, online={
            **mask2, 'model.query_dropping': None
        })),
]
evaluations = [
    dict(name='clean'),
    *[
        dict(
            name=f'masked{percent}',
            mask=dict(type='RandomPatchMask', patch_size=patch_size, mask_ratio=percent / 100))
        for percent in (30, 50, 70)
    ],
    *_base_.corrupted,
]
