# The longest key that a parameter's name contains decides: the norms and embeddings of the adapter need their own.
_base_ = './dvispp.py'

no_decay = dict(lr_mult=0.1, decay_mult=0.0)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone.level_embed': no_decay,
            'backbone.norm': no_decay,
            **{f'backbone.spm.{layer}': no_decay for layer in ('stem.1', 'stem.4', 'stem.7')},
            **{f'backbone.spm.conv{i}.1': no_decay for i in (2, 3, 4)},
            # with a dot at the end, to be longer than 'backbone'
            'query_norm.': no_decay,
            'feat_norm.': no_decay,
            'ffn_norm.': no_decay,
        }))
