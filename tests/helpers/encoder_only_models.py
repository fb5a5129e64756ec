# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoder-only models of any size, for weights of other projects."""

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
