# Masked Video Consistency and Object Masked Attention: every setting of the method, in one place.
mvc = dict(patch_size=32, mask_ratio=0.7, prob=0.5)  # RandomPatchMask in stage 1, TubeMask in stage 2
masked_loss_weight = 1.0  # lambda
oma = dict(drop_ratio=0.5, threshold=0.6)  # stage 3
