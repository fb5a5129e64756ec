# Copyright (c) The mmvc contributors. All rights reserved.
"""A config's model in miniature, and clips to train it with."""


import numpy as np
from mmcv.transforms import Compose
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from mmvc.registry import MODELS
from tests.helpers.config_files import train_pipeline_of

WIDTH, NUM_QUERIES, NUM_POINTS = 32, 10, 32
_ATTENTION = dict(embed_dims=WIDTH, num_heads=4)
_FFN = dict(embed_dims=WIDTH, feedforward_channels=64)
_BACKBONES = {
    'mmdet.ResNet': dict(stem_channels=8, base_channels=4),
    'mmdet.SwinTransformer': dict(embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8), window_size=4),
    'EfficientNetLite': dict(init_cfg=None),  # small enough
    'DINOv2ViTAdapter': dict(
        arch=dict(embed_dims=WIDTH, depth=4, num_heads=2),
        spatial_channels=8,
        pretrained_grid=4,
        norm_cfg=dict(type='BN'),  # SyncBN trains on GPUs only
        init_cfg=None),
}


def shrink(model: ConfigDict) -> ConfigDict:
    """The same model with few channels, layers, queries and points. Changed in place.

    The embeddings of tracker and refiner stay the multiple of the segmenter's width that they are, right or wrong.
    """
    points = dict(criterion=dict(num_points=NUM_POINTS), matcher=dict(num_points=NUM_POINTS))
    if model.type == 'EncoderOnlySegmentor':
        encoder = dict(arch=dict(embed_dims=WIDTH, depth=5, num_heads=2), position_grid=4)
        decoder = dict(levels=(0, 1, 3, 4), num_blocks=2) if model.decoder.type == 'LateralDecoder' else {}
        _merge(model, dict(num_queries=NUM_QUERIES, encoder=encoder, decoder=decoder, **points))
        return model
    changes = dict(
        backbone=_BACKBONES[model.backbone.type],
        head=dict(
            in_channels=_out_channels(model.backbone),
            feat_channels=WIDTH,
            out_channels=WIDTH,
            num_queries=NUM_QUERIES,
            pixel_decoder=dict(
                encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=_ATTENTION, ffn_cfg=_FFN)),
                positional_encoding=dict(num_feats=WIDTH // 2)),
            positional_encoding=dict(num_feats=WIDTH // 2),
            transformer_decoder=dict(
                num_layers=2, layer_cfg=dict(self_attn_cfg=_ATTENTION, cross_attn_cfg=_ATTENTION, ffn_cfg=_FFN)),
            **points))
    for part in ('tracker', 'refiner'):
        if part in model:
            changes[part] = dict(
                embed_dims=model[part].embed_dims * WIDTH // model.head.feat_channels,
                mask_channels=model[part].mask_channels * WIDTH // model.head.feat_channels,
                num_layers=2,
                num_heads=4,
                feedforward_channels=64,
                **points)
    _merge(model, changes)
    return model


def _out_channels(backbone: ConfigDict) -> list:
    """Channels of the shrunk backbone's maps."""
    if backbone.type == 'DINOv2ViTAdapter':
        return [WIDTH] * 4
    if backbone.type == 'EfficientNetLite':
        return [24, 40, 112, 320]
    finest = 8 if backbone.type == 'mmdet.SwinTransformer' else 16 if backbone.depth >= 50 else 4
    return [finest * 2**level for level in range(4)]


def _merge(target: dict, changes: dict) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def build(model: dict) -> nn.Module:
    init_default_scope('mmvc')
    return MODELS.build(model)


def make_batch(cfg: Config, num_frames: int = 3) -> dict[str, list]:
    """Random clips of 64 x 96 through the end of the config's training pipeline: masking, if any, and packing."""
    init_default_scope('mmvc')
    pipeline = train_pipeline_of(cfg)
    finish = Compose(pipeline[2:])
    num_frames = min(num_frames, pipeline[0].num_frames)
    clips = [finish(_make_clip(cfg, num_frames)) for _ in range(cfg.train_dataloader.batch_size)]
    return {key: [clip[key] for clip in clips] for key in clips[0]}


def _make_clip(cfg: Config, num_frames: int) -> dict[str, list]:
    """Frames with three objects, in the form in which the config's dataset is loaded."""
    masks = np.zeros((num_frames, 3, 64, 96), np.uint8)
    for t, (first, second, third) in enumerate(masks):
        first[5:30, 5 + 4 * t:35 + 4 * t] = second[35:60, 50:85 - 5 * t] = third[40:60, 3:20 + 3 * t] = 1
    num_classes = cfg.model.get('num_classes', cfg.num_classes)
    labels = np.minimum([1, 4, num_classes - 1], num_classes - 1)
    clip = dict(img=list(np.random.randint(0, 256, (num_frames, 64, 96, 3), np.uint8)))
    kind = cfg.model.postprocessor.type
    if kind == 'VISPostprocessor':
        clip['gt_masks'] = [BitmapMasks(frame, 64, 96) for frame in masks]
        clip['gt_bboxes_labels'] = [labels] * num_frames
        clip['gt_instances_ids'] = [np.array([7, 8, 9])] * num_frames
    elif kind == 'VPSPostprocessor':
        clip['gt_seg_map'] = list((masks * np.array([11, 12, 13])[:, None, None]).max(1).astype(np.int32))
        segments = [dict(id=11 + i, category_id=int(label)) for i, label in enumerate(labels)]
        clip['segments_info'] = [segments] * num_frames
    else:
        seg_map = (masks * (labels + 1)[:, None, None]).max(1)
        clip['gt_seg_map'] = list(np.where(seg_map, seg_map - 1, 255).astype(np.uint8))
    shape = dict(ori_shape=(64, 96), img_shape=(64, 96), video_length=num_frames)
    return {**clip, **{key: [value] * num_frames for key, value in shape.items()}}
