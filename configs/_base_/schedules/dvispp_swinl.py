# The longest key that a parameter's name contains decides: the norms and the position biases of Swin-L need their own.
_base_ = './dvispp.py'

no_decay = dict(lr_mult=0.1, decay_mult=0.0)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'relative_position_bias_table': no_decay,
            'backbone.norm': no_decay,
            'backbone.patch_embed.norm': no_decay,
            **{f'backbone.stages.{stage}.downsample.norm': no_decay for stage in range(3)},
            **{
                f'backbone.stages.{stage}.blocks.{block}.norm': no_decay
                for stage, depth in enumerate((2, 2, 18, 2)) for block in range(depth)
            },
        }))
