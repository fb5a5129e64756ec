# Copyright (c) The mmvc contributors. All rights reserved.
"""Numbers of the official code of VidEoMT, PMT and LVMT (``data/encoder_only/<model>_<encoder>.npz``).

Files hold inputs, weights under ``sd/<official name>``, recorded random draws and outputs; of a gradient its norm and
every 97th value. Official masks have the axes (batch, query, time, h, w).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from mmvc.models import EncoderOnlySegmentor
from mmvc.models.official_weights import convert_official_weights
from mmvc.registry import MODELS
from tests.helpers.golden_utils import assert_close, below

MODEL_NAMES = ('videomt_dinov2', 'videomt_dinov3', 'pmt_dinov2', 'pmt_dinov3', 'lvmt_dinov2', 'lvmt_dinov3')
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

#: relative tolerances: round-off of float32 in the official code, with a margin
EVAL, STATE, TRAIN, TRAIN_STATE, GRADIENT, LOSS = 3e-5, 5e-5, 1e-4, 2e-4, 2e-4, 1e-4


class Golden:
    """The numbers of one model.

    Args:
        data_dir (Path): Folder ``tests/data``.
        name (str): One of ``MODEL_NAMES``.
    """

    def __init__(self, data_dir: Path, name: str) -> None:
        self.name = name
        with np.load(data_dir / f'encoder_only/{name}.npz') as arrays:
            self.meta = json.loads(str(arrays['meta']))
            self.gradient_names = arrays['grad_names'].tolist()
            self.values = {
                key: torch.from_numpy(arrays[key]) for key in arrays.files if key not in ('meta', 'grad_names')}

    def __getitem__(self, key: str) -> Tensor:
        return self.values[key]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def frames(self, key: str) -> Tensor:
        """Normalised frames (1, T, 3, H, W) of ``in/<key>``."""
        frames = self[f'in/{key}'].float()
        return ((frames - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None]

    def config(self, **settings: Any) -> dict:
        """Config of the model; ``decoder`` is merged, other settings replace."""
        meta = self.meta
        kind, encoder = self.name.split('_')
        decoder: dict[str, Any] = dict(type='JointBlocks', num_blocks=len(meta['segmenter_blocks']))
        if kind != 'videomt':
            decoder = dict(
                type='LateralDecoder',
                levels=meta['interaction_indices'],
                num_blocks=meta['decoder_blocks'],
                mlp_dims=meta['decoder_mlp'])
        config = dict(
            type='EncoderOnlySegmentor',
            num_classes=meta['classes'],
            num_queries=meta['queries'],
            encoder=dict(
                type='PlainViT',
                arch=dict(embed_dims=meta['embed_dim'], depth=meta['depth'], num_heads=meta['heads']),
                position='absolute' if encoder == 'dinov2' else 'rope',
                position_grid=meta['position_table_image'] // meta['patch'],
                num_registers=meta['registers']),
            decoder=dict(decoder, **settings.pop('decoder', {})),
            propagation=dict(type='GRUPropagation' if kind == 'lvmt' else 'LinearPropagation'),
            freeze_encoder=kind != 'videomt',
            criterion=dict(type='MaskClassificationLoss', num_points=meta['points']),
            matcher=dict(type='ClipHungarianMatcher', num_points=meta['points']),
            postprocessor=dict(type='VSSPostprocessor'))
        return {**config, **settings}

    def build(self, **settings: Any) -> EncoderOnlySegmentor:
        """The model with the official weights, in evaluation mode; see :meth:`config`."""
        init_default_scope('mmvc')  # the data preprocessor is built in it
        model = MODELS.build(self.config(**settings))
        model.load_state_dict(self.convert().state_dict, strict=True)
        return model.eval()

    def convert(self) -> Any:
        """The official weights under the names here."""
        return convert_official_weights(below(self.values, 'sd/'))

    def draws(self, part: str) -> tuple[list[Tensor], list[Tensor]]:
        """Recorded random numbers of a training step: points in order, and the scales of rotary positions."""
        kinds = self.meta[part]['draw_kinds']
        values = [self[key] for key in sorted(self.values) if key.startswith(f'{part}/draw/')]
        assert len(kinds) == len(values)
        return ([value for value, kind in zip(values, kinds) if kind == 'rand'],
                [value for value, kind in zip(values, kinds) if kind == 'uniform'])

    def losses(self, part: str) -> dict[str, Tensor]:
        """Official weighted losses under the names here; the official code has none of the last auxiliary layer."""
        terms = dict(loss_ce='loss_cls', loss_mask='loss_mask', loss_dice='loss_dice')
        losses = {}
        for name, value in below(self.values, f'{part}/loss/').items():
            term, _, layer = name.removeprefix('loss_').partition('_')
            losses[(f'd{layer}.' if layer else '') + terms[f'loss_{term}']] = value
        return losses

    def sample(self, part: str, num_frames: int) -> TrackDataSample:
        """Ground truth of the clip of a training step, padded to whole multiples of 32."""
        labels, ids, bits = (self[f'in/{part}_{key}'] for key in ('labels', 'ids', 'masks'))
        height, width = self.meta['size_step']
        masks = np.unpackbits(bits.numpy(), axis=-1)[..., :width]
        padded = np.zeros((*masks.shape[:2], -(-height // 32) * 32, -(-width // 32) * 32), np.uint8)
        padded[..., :height, :width] = masks
        frames = []
        for t in range(num_frames):
            present = (ids[:, t] >= 0).nonzero()[:, 0]
            instances = InstanceData(
                labels=labels[present],
                instances_ids=ids[present, t],
                masks=BitmapMasks(padded[present.numpy(), t], *padded.shape[-2:]))
            frame = DetDataSample(metainfo=dict(img_shape=(height, width)))
            frame.gt_instances = instances
            frames.append(frame)
        sample = TrackDataSample()
        sample.video_data_samples = frames
        return sample

    def step_frames(self, key: str) -> Tensor:
        """Frames of a training step: cropped, then padded with zeros to whole multiples of 32."""
        height, width = self.meta['size_step']
        frames = self.frames(key)[..., :height, :width]
        return torch.nn.functional.pad(frames, (0, -width % 32, 0, -height % 32))

    def check_gradients(self, model: EncoderOnlySegmentor, part: str) -> None:
        """Compare the gradient of every trainable parameter: its norm, and every 97th value."""
        actual = official_gradients(model, self.convert().renamed, self.gradient_names)
        norms, offsets = self[f'{part}/grad_norm'], self['grad_offsets'].tolist()
        samples = self.values.get(f'{part}/grad_sample')
        for i, name in enumerate(self.gradient_names):
            norm = norms[i].item()
            assert abs(actual[name].norm().item() - norm) <= GRADIENT * norm, name
            if samples is not None:
                expected = samples[offsets[i]:offsets[i + 1]]
                assert (actual[name].flatten()[::97] - expected).abs().max() <= 1e-4 * norm, name

    def check_statistics(self, model: EncoderOnlySegmentor, part: str) -> None:
        """Compare the statistics of all batch norms."""
        state = model.state_dict()
        renamed = self.convert().renamed
        for name, expected in below(self.values, f'{part}/buffer_after/').items():
            assert_close(state[renamed[name]].double(), expected.double(), 1e-6, name)


def official_gradients(model: EncoderOnlySegmentor, renamed: Mapping[str, str], names: list[str]) -> dict[str, Tensor]:
    """Gradients by official name. The official code has matrices for query, key and value; here they are one."""
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    taken = set()
    result = {}
    for name in names:
        taken.add(renamed[name])
        gradient = gradients[renamed[name]]
        for i, part in enumerate('qkv'):
            if f'.{part}_proj.weight' in name:
                gradient = gradient.chunk(3)[i]
        result[name] = gradient
    assert taken == gradients.keys(), taken ^ gradients.keys()
    return result
