# Copyright (c) The mmvc contributors. All rights reserved.
"""VidEoMT and EoMT against the classes of transformers, with the weights of those classes.

``data/encoder_only/hf.npz`` holds numbers of transformers 5.24. The other tests run the classes themselves.
"""

import json
from typing import Any

import numpy as np
import pytest
import torch

from mmvc.models.cpu.inference import CPUInference
from mmvc.models.official_weights import convert_official_weights
from mmvc.registry import MODELS
from tests.helpers.encoder_only_goldens import EVAL, Golden
from tests.helpers.golden_utils import assert_close, below

TINY = dict(hidden_size=48, num_hidden_layers=5, num_attention_heads=4, image_size=64, num_blocks=2, num_queries=9)
SMALL = dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=160, num_blocks=3)
NUM_CLASSES = 7


def build_ours(config: Any, state_dict: dict, propagation: dict | None) -> torch.nn.Module:
    """Our model with the sizes of a config of transformers, and its converted weights; in evaluation mode."""
    matcher = 'HungarianMaskMatcher' if propagation is None else 'ClipHungarianMatcher'
    model = MODELS.build(
        dict(
            type='EncoderOnlySegmentor',
            num_classes=config.num_labels,
            num_queries=config.num_queries,
            encoder=dict(
                type='PlainViT',
                arch=dict(
                    embed_dims=config.hidden_size,
                    depth=config.num_hidden_layers,
                    num_heads=config.num_attention_heads),
                position='absolute',
                position_grid=config.image_size // config.patch_size),
            decoder=dict(type='JointBlocks', num_blocks=config.num_blocks),
            propagation=propagation,
            criterion=dict(type='MaskClassificationLoss'),
            matcher=dict(type=matcher),
            postprocessor=dict(type='VSSPostprocessor')))
    model.load_state_dict(convert_official_weights(state_dict).state_dict, strict=True)
    return model.eval()


def randomise(model: torch.nn.Module) -> None:
    """Give every parameter random values of a size at which each of them matters."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1 and 'embed' not in name and 'query' not in name:
            parameter.data = noise * parameter[0].numel()**-0.5
        else:
            parameter.data = parameter.data + 0.1 * noise


def make_config(name: str, sizes: dict) -> Any:
    transformers = pytest.importorskip('transformers')
    if not hasattr(transformers, f'{name}Config'):
        pytest.skip(f'transformers {transformers.__version__} has no {name}')
    return getattr(transformers, f'{name}Config')(**sizes, id2label={i: str(i) for i in range(NUM_CLASSES)})


def build_theirs(name: str, sizes: dict) -> torch.nn.Module:
    config = make_config(name, sizes)
    import transformers
    model = getattr(transformers, f'{name}ForUniversalSegmentation')(config)
    randomise(model)
    return model.eval()


@pytest.mark.parametrize('sizes', [TINY, SMALL], ids=['tiny', 'small'])
@torch.no_grad()
def test_videomt(sizes):
    """A clip in one call there; at once, and frame by frame with the faster CPU kernels, here."""
    theirs = build_theirs('Videomt', sizes)
    model = build_ours(theirs.config, theirs.state_dict(), dict(type='LinearPropagation'))
    side = sizes['image_size']
    clip = torch.randn(1, 3, 3, side, side, generator=torch.Generator().manual_seed(1))
    expected = theirs(clip)
    out = model.segment(clip)
    assert_close(out['cls_scores'][0], expected.class_queries_logits, EVAL)
    assert_close(out['mask_preds'][0], expected.masks_queries_logits, EVAL)
    state = None
    for t, frame in enumerate(clip.split(1, dim=1)):
        with CPUInference():
            step, state = model.process_window(frame, state)
        assert_close(step['cls_scores'][0, 0], expected.class_queries_logits[t], EVAL)
        assert_close(step['mask_features'][0, 0], expected.masks_queries_logits[t], EVAL)


@torch.no_grad()
def test_two_clips():
    """The first axis of transformers' output is time, then the clip, whatever its documentation says."""
    theirs = build_theirs('Videomt', TINY)
    model = build_ours(theirs.config, theirs.state_dict(), dict(type='LinearPropagation'))
    clips = torch.randn(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected, out = theirs(clips), model.segment(clips)
    assert_close(out['cls_scores'].transpose(0, 1).flatten(0, 1), expected.class_queries_logits, EVAL)
    assert_close(out['mask_preds'].transpose(0, 1).flatten(0, 1), expected.masks_queries_logits, EVAL)


def image_outputs(model: torch.nn.Module, images: torch.Tensor, masked: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Class and mask logits of images; masked attention exists in training mode only."""
    if not masked:
        out = model.segment(images[:, None])
        return out['cls_scores'][:, 0], out['mask_preds'][:, 0]
    model.train()
    model.masked_attention = lambda block: 1.0
    frames = model._tokens(model._run_encoder(images, None), images[:, None], None)
    joined, _, _ = model._join_clips(frames, 1, None)
    return model._predict(joined, frames.grid, True)


@pytest.mark.parametrize('masked', [False, True], ids=['plain', 'masked attention'])
@torch.no_grad()
def test_eomt(masked):
    theirs = build_theirs('Eomt', dict(TINY, hidden_dropout_prob=0.0))
    theirs.attn_mask_probs.fill_(float(masked))  # transformers masks the attention in evaluation mode too
    model = build_ours(theirs.config, theirs.state_dict(), None)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = theirs(images)
    cls_scores, masks = image_outputs(model, images, masked)
    assert_close(cls_scores, expected.class_queries_logits, EVAL)
    assert_close(masks, expected.masks_queries_logits, EVAL)


@pytest.fixture
def golden(data_dir):
    with np.load(data_dir / 'encoder_only/hf.npz') as arrays:
        meta = json.loads(str(arrays['meta']))
        return meta, {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}


@torch.no_grad()
def test_recorded_videomt(golden, data_dir):
    """The weights and the clip are those of the official VidEoMT; the first frame comes again at the end."""
    official = Golden(data_dir, 'videomt_dinov2')
    clip = official.frames('sq')
    out = official.build().segment(torch.cat([clip, clip[:, :1]], dim=1))
    assert_close(out['cls_scores'][0], golden[1]['videomt/class_queries_logits'], EVAL)
    assert_close(out['mask_preds'][0], golden[1]['videomt/masks_queries_logits'], EVAL)


class RecordedConfig:
    """The sizes of a recorded model by the names of transformers."""

    def __init__(self, sizes: dict) -> None:
        self.__dict__.update(sizes)


@pytest.mark.parametrize('masked', [False, True], ids=['plain', 'masked attention'])
@torch.no_grad()
def test_recorded_eomt(golden, masked):
    meta, values = golden
    config = RecordedConfig(meta['eomt'])
    model = build_ours(config, below(values, 'eomt/sd/'), None)
    mean, std = (torch.tensor(x)[:, None, None] for x in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    images = (values['eomt/image'].float() - mean) / std
    cls_scores, masks = image_outputs(model, images, masked)
    kind = 'masked' if masked else 'unmasked'
    assert_close(cls_scores, values[f'eomt/{kind}/class_queries_logits'], EVAL)
    assert_close(masks, values[f'eomt/{kind}/masks_queries_logits'], EVAL)
