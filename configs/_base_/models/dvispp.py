# Tracker and refiner of DVIS++, and the three stages of training. A config puts them into its segmenter:
# `model = dict(type='DVISOffline', tracker=_base_.tracker, refiner=_base_.refiner, ...)`.
tracker = dict(
    type='ReferringTracker',
    embed_dims=512,  # twice the hidden channels of the segmenter
    mask_channels=256,
    num_layers=6,
    num_heads=8,
    feedforward_channels=2048,
    noise=dict(type='QueryNoise', mode='wa', prob=0.5),
    criterion=dict(type='MaskClassificationLoss', num_points=12544),
    matcher=dict(type='ClipHungarianMatcher', num_points=12544),
    reid_loss=dict(type='ReferenceContrastiveLoss'))
refiner = dict(
    type='TemporalRefiner',
    embed_dims=512,
    mask_channels=256,
    num_layers=6,
    num_heads=8,
    feedforward_channels=2048,
    cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.0),  # 0 switches Object Masked Attention off
    criterion=dict(type='MaskClassificationLoss', num_points=12544),
    matcher=dict(type='HungarianMaskMatcher', num_points=12544),
    reid_loss=dict(type='TemporalContrastiveLoss'))

# What each stage changes in the config, which describes the last one (docs/en/train_test.md).
stages = dict(
    segmenter=dict(model=dict(type='MinVIS', _remove_=['tracker', 'refiner'])),
    online=dict(
        model=dict(type='DVISOnline', _remove_=['refiner']), sample_clip=dict(num_frames=5, frame_range=2)),
    offline=dict())
