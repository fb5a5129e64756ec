# Swin-L (window 12, pre-trained at 384 x 384), with 200 queries.
backbone = dict(
    _delete_=True,
    type='mmdet.SwinTransformer',
    pretrain_img_size=384,
    embed_dims=192,
    depths=(2, 2, 18, 2),
    num_heads=(6, 12, 24, 48),
    window_size=12,
    drop_path_rate=0.3)
head = dict(in_channels=[192, 384, 768, 1536], num_queries=200)

# The longest key that the name of a parameter contains decides. So norms and position biases need keys of their own.
_no_decay = dict(lr_mult=0.1, decay_mult=0.0)
custom_keys = {
    'relative_position_bias_table': _no_decay,
    'backbone.norm': _no_decay,
    'backbone.patch_embed.norm': _no_decay,
    **{f'backbone.stages.{stage}.downsample.norm': _no_decay for stage in range(3)},
    **{
        f'backbone.stages.{stage}.blocks.{block}.norm': _no_decay
        for stage, depth in enumerate((2, 2, 18, 2)) for block in range(depth)
    },
}
