# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoder-only models of any size, for weights of other projects."""

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvc.models.backbones import PlainViT
from mmvc.models.video_segmentors import EncoderOnlySegmentor
from mmvc.registry import MODELS

LEVELS = dict(small=(2, 5, 8, 11), base=(2, 5, 8, 11), large=(5, 11, 17, 23))


def build_model(arch: str | dict, position: str, method: str = 'VidEoMT', num_classes: int = 40,
                num_queries: int = 200, decoder: dict | None = None, **encoder: object) -> EncoderOnlySegmentor:
    """Build VidEoMT, PMT, LVMT, or EoMT: the image stage of VidEoMT.

    Args:
        arch (str | dict): That of :class:`PlainViT`.
        position (str): ``'absolute'`` (DINOv2) or ``'rope'`` (DINOv3).
        method (str): One of these four.
        num_classes (int): Number of classes.
        num_queries (int): Number of queries.
        decoder (dict, optional): Arguments of the decoder.
        **encoder: Further arguments of :class:`PlainViT`.
    """
    init_default_scope('mmvc')
    if method in ('PMT', 'LVMT'):
        decoder = dict(type='LateralDecoder', **(decoder or dict(levels=LEVELS[arch])))
    else:
        decoder = dict(type='JointBlocks', **(decoder or {}))
    is_video = method != 'EoMT'
    propagation = dict(type='GRUPropagation' if method == 'LVMT' else 'LinearPropagation') if is_video else None
    return MODELS.build(ConfigDict(
        type='EncoderOnlySegmentor',
        num_classes=num_classes,
        num_queries=num_queries,
        encoder=dict(type='PlainViT', arch=arch, position=position, **encoder),
        decoder=decoder,
        propagation=propagation,
        criterion=dict(type='MaskClassificationLoss'),
        matcher=dict(type='ClipHungarianMatcher' if is_video else 'HungarianMaskMatcher'),
        postprocessor=dict(type='VISPostprocessor')))


def features_of(encoder: PlainViT, images: Tensor) -> Tensor:
    """Normalised tokens (N, R + h w, D) of images (N, 3, H, W) after all blocks."""
    x, rotation = encoder.embed(images), encoder.rotation(encoder.grid_of(images))
    for block in encoder.blocks:
        x = block(x, rotation)
    return encoder.norm(x)


def tiny_video_model(method: str, task: str = 'vss', num_classes: int = 5) -> ConfigDict:
    """Config of a tiny VidEoMT (DINOv2), PMT or LVMT (DINOv3) that takes uint8 frames."""
    postprocessors = dict(
        vss=dict(type='VSSPostprocessor'),
        vps=dict(type='VPSPostprocessor', thing_classes=[0, 1], score_threshold=0., overlap_threshold=0.01),
        vis=dict(type='VISPostprocessor', max_per_video=5))
    is_videomt = method == 'VidEoMT'
    decoder = dict(type='JointBlocks', num_blocks=2) if is_videomt else dict(
        type='LateralDecoder', levels=(0, 1, 2, 3), num_blocks=2)
    return ConfigDict(
        type='EncoderOnlySegmentor',
        num_classes=num_classes,
        num_queries=7,
        encoder=dict(
            type='PlainViT',
            arch=dict(embed_dims=32, depth=4, num_heads=2),
            position='absolute' if is_videomt else 'rope',
            position_grid=4),
        decoder=decoder,
        propagation=dict(type='GRUPropagation' if method == 'LVMT' else 'LinearPropagation'),
        criterion=dict(type='MaskClassificationLoss'),
        matcher=dict(type='ClipHungarianMatcher'),
        freeze_encoder=not is_videomt,
        postprocessor=postprocessors[task],
        data_preprocessor=dict(
            type='VideoSegDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=False,
            pad_size_divisor=32))


def vivid_video_model(config: ConfigDict) -> EncoderOnlySegmentor:
    """Build a model, in evaluation mode, whose random weights are large enough for several classes and objects."""
    init_default_scope('mmvc')
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape)
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data = (0 if parameter.ndim > 1 else parameter.data) + noise * fan_in**-0.5
    model.query_embed.weight.data *= 5
    for layer in (model.head.cls_embed, model.head.mask_embed[-1]):
        layer.weight.data *= 3
    return model
