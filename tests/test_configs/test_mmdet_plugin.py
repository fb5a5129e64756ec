# Copyright (c) The mmvc contributors. All rights reserved.
"""MMDetection's Mask2FormerVideo on our clips, by the configs alone: trained with masking, tested, scored."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.models.layers import MultiScaleDeformableAttention
from tests.helpers.config_files import CONFIG_DIR

NAMES = ('mask2former_r50_ytvis2019', 'mask2former_r50_ytvis2019_mvc')
WIDTH = 16


@pytest.fixture(scope='module')
def ytvis(tmp_path_factory):
    """Two training and two validation videos, with the annotations of both."""
    root = tmp_path_factory.mktemp('synthetic')
    config = SyntheticVideoConfig(size=(48, 64), num_frames=3, thing_radius=(0.2, 0.3))
    make_synthetic_dataset(root, config, formats=('ytvis', ), num_train=2, num_val=2)
    return root / 'ytvis'


def load(name: str) -> Config:
    return Config.fromfile(str(CONFIG_DIR / f'plugins/mmdet/{name}.py'))


def load_small(data_root, work_dir: str) -> Config:
    """The masked config with few layers and channels, on the generated videos, scored with their annotations."""
    cfg = load(NAMES[1])
    categories = json.loads((data_root / 'valid/instances.json').read_text())['categories']
    attention = dict(embed_dims=WIDTH, num_heads=2)
    ffn = dict(embed_dims=WIDTH, feedforward_channels=32)
    layer = dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)
    encoder = dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn))
    cfg.merge_from_dict(dict(
        model=dict(
            init_cfg=None,
            backbone=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None),
            track_head=dict(
                in_channels=[8, 16, 32, 64], feat_channels=WIDTH, out_channels=WIDTH,
                num_classes=len(categories), num_queries=8,
                pixel_decoder=dict(
                    norm_cfg=dict(num_groups=4), encoder=encoder, positional_encoding=dict(num_feats=WIDTH // 2)),
                positional_encoding=dict(num_feats=WIDTH // 2),
                transformer_decoder=dict(num_layers=2, layer_cfg=layer),
                loss_cls=dict(class_weight=[1.0] * len(categories) + [0.1]),
                train_cfg=dict(num_points=64))),
        train_dataloader=dict(num_workers=0, persistent_workers=False),
        val_dataloader=dict(num_workers=0),
        val_evaluator=dict(data_root=str(data_root), format_only=False, output_dir=work_dir),
        train_cfg=dict(max_iters=1, val_interval=1),
        work_dir=work_dir))
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(data_root), metainfo=dict(classes=[each['name'] for each in categories]))
        dataset.pipeline[1].transforms[-2 if split == 'train' else -1].scale = (128, 96)
    cfg.train_dataloader.dataset.pipeline[-2].update(patch_size=16, prob=1.0)
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    return cfg


def test_train_and_score(ytvis, tmp_path):
    cfg = load_small(ytvis, str(tmp_path))
    cfg.model.data_preprocessor.mean = [10, 200, 30]
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()  # a step, then validation
    after = dict(runner.model.named_parameters())
    changed = {key.split('.')[0] for key, value in before.items() if not torch.equal(value, after[key])}
    assert changed == {'backbone', 'track_head'}
    numbers = {key: buffer.current() for key, buffer in runner.message_hub.log_scalars.items()}
    assert np.isfinite(numbers['train/loss']) and 0 <= numbers['val/vis/AP'] <= 100
    tracks = json.loads((tmp_path / 'results.json').read_text())
    assert len(tracks) == 2 * 10  # the ten best queries of each video
    assert {tuple(mask['size']) for track in tracks for mask in track['segmentations'] if mask} == {(48, 64)}

    mean = torch.tensor([30, 200, 10], dtype=torch.uint8).view(1, 3, 1, 1)  # of the model, BGR
    clips = [runner.train_dataloader.dataset[index]['inputs'] for index in (0, 1, 0, 1)]
    hidden = torch.stack([(clip == mean).all(1) for clip in clips])
    assert 0.5 < hidden.float().mean() < 0.9
    assert (hidden[:, 0] == hidden[:, 1]).float().mean() > 0.99  # tubes; a pixel may have the mean by itself


def test_full_size_model():
    cfg = load(NAMES[0])
    init_default_scope('mmdet')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    layers = model.track_head.pixel_decoder.encoder.layers
    assert [type(layer.self_attn) for layer in layers] == [MultiScaleDeformableAttention] * 6
    assert sum(parameter.numel() for parameter in model.parameters()) == 44_013_097


def test_masking_is_all_that_differs():
    plain, masked = (load(name) for name in NAMES)
    assert [t for t in masked.train_pipeline if t not in plain.train_pipeline] == [
        dict(type='mmvc.TubeMask', patch_size=32, mask_ratio=0.7, prob=0.5)]
    assert masked.train_pipeline[-2].type == 'mmvc.TubeMask'  # directly before packing
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader', 'val_evaluator'):
        assert plain[key] == masked[key]
