# A frozen DINOv2 ViT-L with a trained ViT-Adapter, and 200 queries. Only the first stage loads `pretrained`, the file
# as it is published; the weights of `load_from` are loaded after it. The later stages take the backbone from the
# first.
backbone = dict(
    _delete_=True, type='DINOv2ViTAdapter', arch='large', frozen_vit=True, norm_cfg=dict(type='SyncBN'), init_cfg=None)
pretrained = dict(type='Pretrained', checkpoint='checkpoints/dinov2_vitl14_pretrain.pth')
head = dict(in_channels=[1024, 1024, 1024, 1024], num_queries=200)

# The longest key that the name of a parameter contains decides. So norms and embeddings need keys of their own.
_no_decay = dict(lr_mult=0.1, decay_mult=0.0)
custom_keys = {
    'backbone.level_embed': _no_decay,
    'backbone.norm': _no_decay,
    **{f'backbone.spm.{layer}': _no_decay for layer in ('stem.1', 'stem.4', 'stem.7')},
    **{f'backbone.spm.conv{i}.1': _no_decay for i in (2, 3, 4)},
    # these end with a dot to be longer than 'backbone'
    'query_norm.': _no_decay,
    'feat_norm.': _no_decay,
    'ffn_norm.': _no_decay,
}
