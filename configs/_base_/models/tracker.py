# Stage 2: what a leaf adds to a segmenter, as `model = dict(type='DVISOnline', tracker=_base_.tracker)`.
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
