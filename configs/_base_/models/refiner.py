# Stage 3: what a leaf adds to segmenter and tracker, as `model = dict(type='DVISOffline', refiner=_base_.refiner)`.
refiner = dict(
    type='TemporalRefiner',
    embed_dims=512,
    mask_channels=256,
    num_layers=6,
    num_heads=8,
    feedforward_channels=2048,
    cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.0),  # 0: DVIS++; configs/mvc/ switches OMA on
    criterion=dict(type='MaskClassificationLoss', num_points=12544),
    matcher=dict(type='HungarianMaskMatcher', num_points=12544),
    reid_loss=dict(type='TemporalContrastiveLoss'))
