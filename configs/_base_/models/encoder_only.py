# The parts of VidEoMT, PMT and LVMT, and their two stages of training. A config joins them:
# `model = dict(_base_.lvmt, encoder=_base_.encoders.vitl_dinov3, decoder=_base_.lateral_decoders.vitl, ...)`.
model = dict(
    type='EncoderOnlySegmentor',
    data_preprocessor=dict(
        type='VideoSegDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    num_queries=200,
    criterion=dict(type='MaskClassificationLoss', num_points=12544),
    matcher=dict(type='ClipHungarianMatcher', num_points=12544))
videomt = dict(propagation=dict(type='LinearPropagation'))
pmt = dict(propagation=dict(type='LinearPropagation'), freeze_encoder=True)
lvmt = dict(propagation=dict(type='GRUPropagation'), freeze_encoder=True, chunk_size=5)
# LVMT on several GPUs: each chunk has a backward pass of its own
chunk_wrapper = dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False)

encoders = {
    f'{name}_{pretraining}': dict(type='PlainViT', arch=arch, position=position)
    for name, arch in dict(vits='small', vitb='base', vitl='large').items()
    for pretraining, position in dict(dinov2='absolute', dinov3='rope').items()
}
joint_blocks = dict(
    vits=dict(type='JointBlocks', num_blocks=3),
    vitb=dict(type='JointBlocks', num_blocks=3),
    vitl=dict(type='JointBlocks', num_blocks=4))
lateral_decoders = dict(
    vits=dict(type='LateralDecoder', levels=(2, 5, 8, 11), num_blocks=6),
    vitb=dict(type='LateralDecoder', levels=(2, 5, 8, 11), num_blocks=6),
    vitl=dict(type='LateralDecoder', levels=(5, 11, 17, 23), num_blocks=6))

# What the image stage changes in the config, which describes the video stage (docs/en/train_test.md). The official
# code of this stage is not published. These are the settings of EoMT on COCO: 16 frames in an iteration, 12 epochs,
# masked attention that ends in the course of the training, and a decay of 0.8 in the encoder, if that is trained.
# `load_from` is the converted encoder (docs/en/official_weights.md), with `_grid80` one of `--position-grid 80`.
stages = dict(
    segmenter=dict(
        model=dict(
            propagation=None,
            chunk_size=None,
            query_dropping=None,
            masked_attention=dict(),
            matcher=dict(type='HungarianMaskMatcher')),
        sample_clip=dict(num_frames=1, frame_range=0),
        train_dataloader=dict(batch_size=2),
        optim_wrapper=dict(paramwise_cfg=dict(decay_rate=0.8)),
        param_scheduler=dict(warmup_iters=500, encoder_warmup_iters=1000),
        train_cfg=dict(max_iters=90000, val_interval=90000),
        auto_scale_lr=dict(base_batch_size=16)),
    online=dict())
