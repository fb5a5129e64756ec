# A 3 M-parameter segmenter for two CPU cores: ResNet-18 of half width, 64 channels, 32 queries, 3 decoder layers.
# Trained from scratch, so batch norm is trained as well.
_base_ = './segmenter_r50.py'

attention = dict(embed_dims=64, num_heads=4)
ffn = dict(embed_dims=64, feedforward_channels=256)
model = dict(
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
            encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
            positional_encoding=dict(num_feats=32)),
        positional_encoding=dict(num_feats=32),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)),
        criterion=dict(num_points=1024),
        matcher=dict(num_points=1024)))
