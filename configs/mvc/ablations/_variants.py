# Overrides that the plans have in common.
mask1 = 'train_dataloader.dataset.pipeline.RandomPatchMask'  # of the segmenter's config
mask2 = 'train_dataloader.dataset.pipeline.TubeMask'  # of the tracker's config
no_mvc1 = {f'{mask1}.prob': 0.0}
no_mvc2 = {f'{mask2}.prob': 0.0}
no_oma = {'model.refiner.cross_attn.drop_ratio': 0.0}
