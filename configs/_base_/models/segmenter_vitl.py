# Stage 1 with a frozen DINOv2 ViT-L and a trained ViT-Adapter, 200 queries. Later stages take the backbone from this
# one, so their leaves switch `init_cfg` off.
_base_ = './segmenter_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='DINOv2ViTAdapter',
        arch='large',
        frozen_vit=True,
        norm_cfg=dict(type='SyncBN'),
        # the official file, as it is; the COCO weights of `load_from` are loaded over it
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/dinov2_vitl14_pretrain.pth')),
    head=dict(in_channels=[1024, 1024, 1024, 1024], num_queries=200))
