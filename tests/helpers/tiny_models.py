# Copyright (c) The mmvc contributors. All rights reserved.
"""A whole model in miniature, and clips to train it with. Sizes are those of ``data/modules/e2e_tiny.npz``."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmvc.models import BaseVideoSegmentor
from mmvc.registry import MODELS

NUM_CLASSES = 10
NUM_QUERIES = 12

_ATTENTION = dict(embed_dims=32, num_heads=4, batch_first=True)
_RELU = dict(type='ReLU', inplace=True)
_CRITERION = dict(type='MaskClassificationLoss', num_points=32)
_MATCHER = dict(type='HungarianMaskMatcher', num_points=32)

SEGMENTER = dict(
    type='MinVIS',
    num_classes=NUM_CLASSES,
    data_preprocessor=dict(
        type='VideoSegDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=False),
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        stem_channels=8,
        base_channels=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True),
    head=dict(
        type='FrameQueryHead',
        in_channels=[16, 32, 64, 128],
        feat_channels=32,
        out_channels=32,
        num_queries=NUM_QUERIES,
        pixel_decoder=dict(
            type='MSDeformAttnPixelDecoder',
            num_outs=3,
            encoder=dict(
                num_layers=1,
                layer_cfg=dict(
                    self_attn_cfg=dict(**_ATTENTION, num_levels=3, num_points=4, dropout=0.0),
                    ffn_cfg=dict(embed_dims=32, feedforward_channels=1024, ffn_drop=0.0, act_cfg=_RELU))),
            positional_encoding=dict(num_feats=16, normalize=True)),
        positional_encoding=dict(num_feats=16, normalize=True),
        transformer_decoder=dict(
            num_layers=3,
            layer_cfg=dict(
                self_attn_cfg=_ATTENTION,
                cross_attn_cfg=_ATTENTION,
                ffn_cfg=dict(embed_dims=32, feedforward_channels=64, ffn_drop=0.0, act_cfg=_RELU))),
        criterion=_CRITERION,
        matcher=_MATCHER,
        reid_loss=dict(type='FrameContrastiveLoss')),
    postprocessor=dict(type='VSSPostprocessor'))

_SIZES = dict(embed_dims=64, mask_channels=32, num_layers=2, num_heads=4, feedforward_channels=64)
TRACKER = dict(
    type='ReferringTracker',
    **_SIZES,
    noise=dict(type='QueryNoise', mode='none'),
    criterion=_CRITERION,
    matcher=dict(type='ClipHungarianMatcher', num_points=32),
    reid_loss=dict(type='ReferenceContrastiveLoss'))
REFINER = dict(
    type='TemporalRefiner',
    **_SIZES,
    criterion=_CRITERION,
    matcher=_MATCHER,
    reid_loss=dict(type='TemporalContrastiveLoss'))

STAGES = dict(
    MinVIS=SEGMENTER,
    DVISOnline=dict(SEGMENTER, type='DVISOnline', tracker=TRACKER),
    DVISOffline=dict(SEGMENTER, type='DVISOffline', tracker=TRACKER, refiner=REFINER))


def build_part(cfg: dict) -> nn.Module:
    """Build a module as the runner does, in the scope ``mmvc``."""
    init_default_scope('mmvc')
    return MODELS.build(ConfigDict(cfg))


def build_model(stage: str, **changes) -> BaseVideoSegmentor:
    """Build the tiny model of a stage; ``changes`` replace top-level entries of its config."""
    return build_part(dict(STAGES[stage], **changes))


def randomize_constants(model: nn.Module) -> nn.Module:
    """Move every parameter off its initial value, so that constant ones (zero biases, unit scales) count as well."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def make_sample(labels: Sequence[int], masks: np.ndarray | None = None, **metainfo) -> TrackDataSample:
    """A packed clip.

    Args:
        labels (Sequence[int]): Classes of the n objects.
        masks (ndarray): uint8 (n, T, H, W). An object belongs to the ground truth of the frames where it has a pixel.
        **metainfo: Per-clip entries that every frame gets; a list of length T gives each frame its own.
    """
    labels = np.asarray(labels, dtype=np.int64)
    num_frames, height, width = masks.shape[1:]
    frames = []
    for t in range(num_frames):
        seen = np.flatnonzero(masks[:, t].any((1, 2)))
        own = {key: value[t] if isinstance(value, list) else value for key, value in metainfo.items()}
        frame = DetDataSample(metainfo=dict(ori_shape=(height, width), img_shape=(height, width), **own))
        frame.gt_instances = InstanceData(
            labels=torch.from_numpy(labels[seen]),
            instances_ids=torch.from_numpy(seen),
            masks=BitmapMasks(masks[seen, t], height, width))
        frames.append(frame)
    return TrackDataSample(video_data_samples=frames)


def make_batch(num_clips: int = 2, num_frames: int = 3, size: tuple = (60, 90), metainfo: Sequence[dict] = ()) -> dict:
    """What the data loader gives: random frames with three moving rectangles, the last one absent at first.

    Args:
        num_clips (int): Defaults to 2.
        num_frames (int): Defaults to 3.
        size (tuple[int, int]): Height and width. Defaults to (60, 90), padded to (64, 96) by the preprocessor.
        metainfo (Sequence[dict]): Further entries of the clips' metainfo, see :func:`make_sample`.
    """
    inputs, samples = [], []
    for clip in range(num_clips):
        masks = np.zeros((3, num_frames, *size), dtype=np.uint8)
        for t in range(num_frames):
            masks[0, t, 5:30, 5 + 4 * t:35 + 4 * t] = 1
            masks[1, t, 25:55, 50:85 - 5 * t] = 1
            masks[2, t, 40:58, 3:20 + 3 * t] = t > 0
        inputs.append(torch.randint(256, (num_frames, 3, *size), dtype=torch.uint8))
        samples.append(make_sample([1, 4 + clip, 7], masks, **(metainfo[clip] if metainfo else {})))
    return dict(inputs=inputs, data_samples=samples)


class Clips(Dataset):
    """A training set of five random clips, which are other ones each time."""

    metainfo = dict()

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict:
        batch = make_batch(1, self.num_frames, (40, 56))
        return dict(inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])


def make_video(num_frames: int, size: tuple = (60, 90), ori_shape: tuple = (75, 110)) -> list[TrackDataSample]:
    """A sample without ground truth, as in testing."""
    frames = [DetDataSample(metainfo=dict(ori_shape=ori_shape, img_shape=size)) for _ in range(num_frames)]
    return [TrackDataSample(video_data_samples=frames)]


def stacked(sample: TrackDataSample, field: str, name: str) -> Tensor:
    """A prediction of all frames, e.g. ``stacked(sample, 'pred_sem_seg', 'sem_seg')``, first axis time."""
    return torch.stack([frame.get(field).get(name) for frame in sample])


def repeatable_rand(*size, device=None, **kwargs) -> Tensor:
    """Instead of ``torch.rand``: a draw that depends on the shape but for its first axis, which counts masks or clips.

    So clips meet the same random points however they are spread over iterations and processes.
    """
    size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    generator = torch.Generator().manual_seed(sum(size[1:]))
    return torch.empty(size[1:]).uniform_(generator=generator).expand(size).clone().to(device)
