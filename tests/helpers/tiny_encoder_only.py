# Copyright (c) The mmvc contributors. All rights reserved.
"""VidEoMT, PMT and LVMT in miniature. Clips to train them with: :func:`tests.helpers.tiny_models.make_batch`."""

from typing import Any

from mmvc.models import EncoderOnlySegmentor
from tests.helpers.tiny_models import NUM_CLASSES, NUM_QUERIES, SEGMENTER, build_part, randomize_constants

CHUNK_SIZE = 2
_POINTS = dict(num_points=32)

#: absolute positions (DINOv2); frames of 64 x 96 pixels need a resampled table
DINOV2 = dict(
    type='PlainViT',
    arch=dict(embed_dims=32, depth=4, num_heads=4),
    position='absolute',
    position_grid=5,
    num_registers=2)
#: rotary positions (DINOv3)
DINOV3 = dict(DINOV2, position='rope')

_COMMON = dict(
    type='EncoderOnlySegmentor',
    num_classes=NUM_CLASSES,
    num_queries=NUM_QUERIES,
    criterion=dict(type='MaskClassificationLoss', **_POINTS),
    matcher=dict(type='ClipHungarianMatcher', **_POINTS),
    postprocessor=dict(type='VSSPostprocessor'),
    data_preprocessor=SEGMENTER['data_preprocessor'])

VIDEOMT = dict(
    _COMMON,
    encoder=DINOV2,
    decoder=dict(type='JointBlocks', num_blocks=2),
    propagation=dict(type='LinearPropagation'))
PMT = dict(
    _COMMON,
    encoder=DINOV3,
    decoder=dict(type='LateralDecoder', levels=(1, 3), num_blocks=3, mlp_dims=48),
    propagation=dict(type='LinearPropagation'),
    freeze_encoder=True)
LVMT = dict(PMT, propagation=dict(type='GRUPropagation'), chunk_size=CHUNK_SIZE)

#: the models of the video stage
KINDS = dict(videomt=VIDEOMT, pmt=PMT, lvmt=LVMT)


def image_stage(kind: str) -> dict:
    """Config of the stage before, which learns every frame by itself."""
    return dict(KINDS[kind], propagation=None, chunk_size=None, matcher=dict(type='HungarianMaskMatcher', **_POINTS))


def build_model(config: str | dict, **changes: Any) -> EncoderOnlySegmentor:
    """Build a tiny model with random weights.

    Args:
        config (str | dict): A name in ``KINDS``, or a config.
        **changes: Replace top-level entries of the config.
    """
    return randomize_constants(build_part(dict(KINDS[config] if isinstance(config, str) else config, **changes)))
