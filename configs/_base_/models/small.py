# What makes the model small enough for two CPU cores (3 M parameters in the segmenter): ResNet-18 of half width, 64
# channels, 32 queries, 3 layers. A config merges them: `model = dict(_base_.small, ...)`. The training starts from
# random weights, so batch norm is trained as well. The refiner has no contrastive loss: the memory of that loss holds
# embeddings of the same class as negatives, and with 128 channels the last layer then cannot tell classes apart.
# Tracker and refiner are trained for minutes: they start with the predictions of the stage before, and there is no
# noise to learn against. Otherwise they end below the stage before (docs/en/results.md, "Every stage pays").
_attention = dict(embed_dims=64, num_heads=4)
_ffn = dict(embed_dims=64, feedforward_channels=256)
_video_module = dict(
    embed_dims=128,
    mask_channels=64,
    num_layers=3,
    num_heads=4,
    feedforward_channels=256,
    criterion=dict(type='MaskClassificationLoss', num_points=1024),
    norm_groups=2,
    inherit_heads=True,
    identity_init=True)
small = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        norm_cfg=dict(requires_grad=True),
        norm_eval=False,
        init_cfg=None),
    head=dict(
        in_channels=[32, 64, 128, 256],
        feat_channels=64,
        out_channels=64,
        num_queries=32,
        pixel_decoder=dict(
            encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
            positional_encoding=dict(num_feats=32)),
        positional_encoding=dict(num_feats=32),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)),
        criterion=dict(num_points=1024),
        matcher=dict(num_points=1024)))
small_tracker = dict(
    _video_module,
    noise=dict(type='QueryNoise', mode='none'),
    matcher=dict(type='ClipHungarianMatcher', num_points=1024))
small_refiner = dict(
    _video_module, matcher=dict(type='HungarianMaskMatcher', num_points=1024), reid_loss=None)
