_base_ = ['./_base_/datasets/synthetic.py', './_base_/schedules/from_scratch.py', './_base_/default_runtime.py']
max_iters = 350
model = dict(
    type='EncoderOnlySegmentor', num_classes=10, num_queries=32,
    data_preprocessor=dict(type='VideoSegDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_size_divisor=32),
    encoder=dict(type='PlainViT', arch=dict(embed_dims=128, depth=6, num_heads=4), position='rope', patch_size=8, layer_scale=1.0),
    decoder=dict(type='LateralDecoder', levels=(1, 2, 4, 5), num_blocks=3, mlp_dims=256),
    propagation=dict(type='GRUPropagation'), chunk_size=4,
    criterion=dict(type='MaskClassificationLoss', num_points=1024),
    matcher=dict(type='ClipHungarianMatcher', num_points=1024),
    postprocessor=_base_.postprocessor)
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=max_iters, eta_min=1e-6, by_epoch=False),
]
stages = dict(
    segmenter=dict(
        model=dict(propagation=None, chunk_size=None, matcher=dict(type='HungarianMaskMatcher', num_points=1024), masked_attention=dict()),
        sample_clip=dict(num_frames=2, frame_range=5),
        train_dataloader=dict(batch_size=3),
        train_cfg=dict(max_iters=600, val_interval=600),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, end=50, by_epoch=False),
            dict(type='CosineAnnealingLR', begin=50, end=600, eta_min=1e-6, by_epoch=False),
        ]),
    online=dict())
