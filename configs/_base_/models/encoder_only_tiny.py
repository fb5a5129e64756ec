# What makes LVMT small enough for two CPU cores (2 M parameters): 128 channels, 6 blocks of the encoder, 3 of the
# decoder, 32 queries. It is trained from random weights, so the encoder is not frozen, layer scales begin at 1, and
# patches have 8 pixels: the videos are small. A config merges it: `model = dict(_base_.lvmt_tiny, ...)`.
model = dict(
    type='EncoderOnlySegmentor',
    data_preprocessor=dict(
        type='VideoSegDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]))
lvmt_tiny = dict(
    num_queries=32,
    encoder=dict(
        type='PlainViT',
        arch=dict(embed_dims=128, depth=6, num_heads=4),
        position='rope',
        patch_size=8,
        layer_scale=1.0),
    decoder=dict(type='LateralDecoder', levels=(1, 2, 4, 5), num_blocks=3, mlp_dims=256),
    propagation=dict(type='GRUPropagation'),
    chunk_size=4,
    criterion=dict(type='MaskClassificationLoss', num_points=1024),
    matcher=dict(type='ClipHungarianMatcher', num_points=1024))
model_wrapper_cfg = dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False)
stages = dict(
    segmenter=dict(
        model=dict(
            propagation=None,
            chunk_size=None,
            query_dropping=None,
            masked_attention=dict(),
            matcher=dict(type='HungarianMaskMatcher'))),
    online=dict())
