# Copyright (c) The mmvc contributors. All rights reserved.
"""The configs of VidEoMT, PMT and LVMT, against the official configurations."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed
from torch import nn

from mmvc.engine import stage_names
from tests.helpers.config_files import (
    ENCODER_ONLY_NAMES,
    ENCODER_ONLY_STAGES,
    STAGES,
    differences,
    load,
    stage_of,
    train_pipeline_of,
)
from tests.helpers.tiny_configs import build, make_batch, shrink

NUM_GPUS = 8
SETS = ('ytvis2019', 'ytvis2021', 'ytvis2022', 'ovis', 'vipseg', 'vspw')
# iterations of the video stage, in thousands
ITERATIONS = {
    'videomt_vitl_dinov2': dict(zip(SETS, (60, 160, 160, 160, 40, 40))),
    'videomt_vitl_dinov3': dict(zip(SETS, (160, 160, 160, None, 40, 40))),
    'videomt_vits_dinov2': dict(ytvis2019=40),
    'videomt_vitb_dinov2': dict(ytvis2019=40),
    'pmt_vitl_dinov2': dict(zip(SETS, (60, 60, None, 60, 40, 40))),
    'pmt_vitl_dinov3': dict(zip(SETS, (60, 60, None, 60, 20, 40))),
    'lvmt_vitl_dinov2': dict(zip(SETS, (60, 40, 40, 80, 40, 40))),
    'lvmt_vitl_dinov3': dict(zip(SETS, (60, 40, 40, 80, 40, 40))),
    'lvmt_vits_dinov3': dict(ovis=80),
    'lvmt_vitb_dinov3': dict(ovis=80),
}
FULL_SIZE = [name for name in ENCODER_ONLY_NAMES if '_tiny_' not in name]
FULL_SIZE_STAGES = [name for name in ENCODER_ONLY_STAGES if '_tiny_' not in name]
MASKED = [name for name in ENCODER_ONLY_NAMES if name.startswith('mvc/')]
# of the official models with 40 classes, in millions: all parameters, and those that are trained; ViT-S and -B with
# DINOv2
PARAMETERS = {
    'videomt_vitl_dinov2': (317.6, 317.6),
    'videomt_vitl_dinov3': (316.0, 316.0),
    'videomt_vits_dinov2': (24.1, 24.1),
    'videomt_vitb_dinov2': (94.2, 94.2),
    'pmt_vitl_dinov2': (359.7, 54.9),
    'pmt_vitl_dinov3': (358.0, 54.9),
    'lvmt_vitl_dinov2': (364.9, 60.1),
    'lvmt_vitl_dinov3': (363.3, 60.1),
    'lvmt_vits_dinov3': (30.8, 8.5),
    'lvmt_vitb_dinov3': (120.8, 33.9),
}


def split(name: str) -> tuple[str, str, str, str]:
    """``('lvmt', 'vitl', 'dinov3', 'vspw')`` of ``mvc/lvmt_vitl_dinov3_vspw_online``."""
    method, size, pretraining, dataset = name.split('/')[1].split('_')[:4]
    return method, size, pretraining, dataset


def test_all_configs_are_there():
    models = {f'{model}_{dataset}' for model, sets in ITERATIONS.items() for dataset, thousands in sets.items()
              if thousands is not None}
    small = {'lvmt_tiny_synthetic', 'lvmt_tiny_camvid'}
    assert {*ENCODER_ONLY_NAMES} - {*MASKED} == {f'{model.split("_")[0]}/{model}' for model in models | small}
    assert {*MASKED} == {f'mvc/{model}' for model in models | small}


@pytest.mark.parametrize('name', ENCODER_ONLY_NAMES)
def test_stages(name):
    cfg = load(name)
    assert stage_names(cfg) == list(STAGES[:2])
    assert not differences(cfg, load(f'{name}_online'))
    image, video = (load(f'{name}_{stage}').model for stage in STAGES[:2])
    for part in ('encoder', 'decoder', 'num_queries', 'freeze_encoder', 'postprocessor'):
        assert image.get(part) == video.get(part)
    assert image.propagation is image.chunk_size is image.query_dropping is None and image.masked_attention == {}
    assert 'masked_attention' not in video and video.propagation.type in ('LinearPropagation', 'GRUPropagation')


@pytest.mark.parametrize('name', FULL_SIZE_STAGES)
def test_schedule(name):
    cfg, stage = load(name), stage_of(name)
    method, size, pretraining, dataset = split(name)
    batch_size = cfg.train_dataloader.batch_size * NUM_GPUS
    assert cfg.auto_scale_lr.base_batch_size == batch_size == (16 if stage == 'segmenter' else 8)
    iterations = 90 if stage == 'segmenter' else ITERATIONS[f'{method}_{size}_{pretraining}'][dataset]
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == 1000 * iterations
    optimizer, scheduler = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 1e-4, 0.05)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper' and 'clip_grad' not in cfg.optim_wrapper
    assert cfg.optim_wrapper.paramwise_cfg == dict(decay_rate=0.8 if stage == 'segmenter' else 0.6)
    warmups = (6000, None) if stage == 'online' and method != 'videomt' else (500, 1000)
    assert (scheduler.warmup_iters, scheduler.get('encoder_warmup_iters'), scheduler.power) == (*warmups, 0.9)


@pytest.mark.parametrize('name', FULL_SIZE_STAGES)
def test_clips_and_sizes(name):
    cfg, stage = load(name), stage_of(name)
    method, _, pretraining, dataset = split(name)
    clip = train_pipeline_of(cfg)[0]
    expected = (1, 0, False) if stage == 'segmenter' else (15, 5, True) if method == 'lvmt' else (5, 2, False)
    assert (clip.num_frames, clip.frame_range, clip.get('replace', False)) == expected
    assert 'reverse_prob' not in clip
    sizes = dict(vspw=720, vipseg=720, ovis=544)
    on_dinov3 = (method, pretraining) == ('videomt', 'dinov3')
    resize = cfg.test_dataloader.dataset.pipeline[1].transforms[1]
    assert tuple(resize.scale) == (1333, sizes.get(dataset, 480 if on_dinov3 else 448))
    if dataset not in ('vspw', 'vipseg'):
        assert cfg.model.postprocessor.max_per_video == (20 if dataset == 'ovis' else 10)
        coco = [part for part in cfg.train_dataloader.dataset.datasets if part.type == 'COCOPseudoVideoDataset']
        assert [part.target[-4:] for part in coco] == ['2021' if dataset == 'ytvis2022' else cfg.data_root[-4:]]
    if dataset == 'ytvis2022':
        assert set(cfg.test_evaluator.subsets) == {'S', 'L'}


@pytest.mark.parametrize('name', FULL_SIZE_STAGES)
def test_model(name):
    cfg = load(name)
    model, (method, size, pretraining, dataset) = cfg.model, split(name)
    large_frames = dataset in ('vspw', 'vipseg')
    assert (model.type, model.num_queries) == ('EncoderOnlySegmentor', 200)
    assert model.encoder.arch == dict(vits='small', vitb='base', vitl='large')[size]
    assert model.encoder.position == dict(dinov2='absolute', dinov3='rope')[pretraining]
    if method == 'videomt':
        assert model.encoder.get('position_grid', 40) == (80 if large_frames and pretraining == 'dinov2' else 40)
        assert model.decoder.num_blocks == (4 if size == 'vitl' else 3)
        assert model.decoder.get('norm_queries', False) == (large_frames and pretraining == 'dinov3')
    else:
        assert 'position_grid' not in model.encoder and model.freeze_encoder
        assert tuple(model.decoder.levels) == ((5, 11, 17, 23) if size == 'vitl' else (2, 5, 8, 11))
        assert model.decoder.num_blocks == 6 and cfg.sync_bn == 'torch'
    if stage_of(name) == 'online':
        assert model.propagation.type == ('GRUPropagation' if method == 'lvmt' else 'LinearPropagation')
        assert model.get('chunk_size') == (5 if method == 'lvmt' else None)
    if method == 'lvmt':  # the chunks of a clip have backward passes of their own
        assert cfg.model_wrapper_cfg.type == 'TwoPassDistributedDataParallel'


@pytest.mark.parametrize('name', FULL_SIZE)
def test_initial_weights(name):
    image, video = (load(f'{name}_{stage}') for stage in STAGES[:2])
    method, size, pretraining, dataset = split(name)
    grid = '_grid80' if image.model.encoder.get('position_grid') else ''
    assert image.load_from == f'checkpoints/{pretraining}_{size}{grid}.pth'
    if name.startswith('mvc/'):
        assert video.load_from == f'checkpoints/{name}_segmenter.pth'
    else:  # LVMT starts from the segmenter of PMT, on YouTube-VIS 2022 from that of 2021
        method = 'pmt' if method == 'lvmt' else method
        dataset = dataset.replace('2022', '2021') if method == 'pmt' else dataset
        assert video.load_from == f'checkpoints/{method}/{method}_{size}_{pretraining}_{dataset}_segmenter.pth'


@pytest.mark.parametrize('name', MASKED)
def test_method_changes_only_what_is_its_own(name):
    model = name.split('/')[1]
    for stage, mask in zip(STAGES[:2], ('RandomPatchMask', 'TubeMask')):
        cfg = load(f'{name}_{stage}')
        baseline = load(f'{model.split("_")[0]}/{model}_{stage}')
        video = {'model.query_dropping.drop_ratio', 'model.query_dropping.threshold',
                 *(['load_from'] if name in FULL_SIZE else [])}
        dataset = cfg.train_dataloader.dataset
        assert differences(cfg, baseline) == {
            'model.masked_loss_weight', 'train_dataloader.dataset.pipeline', *(video if stage == 'online' else ())}
        assert dataset.pipeline[-2] == dict(type=mask, patch_size=32, mask_ratio=0.7, prob=0.5)
        assert dataset.pipeline[:-2] + dataset.pipeline[-1:] == baseline.train_dataloader.dataset.pipeline
        assert cfg.model.masked_loss_weight == 1.0
        if stage == 'online':
            assert cfg.model.query_dropping == dict(drop_ratio=0.5, threshold=0.6)


@pytest.mark.parametrize('model', PARAMETERS)
def test_parameters_are_as_many_as_in_the_official_model(on_meta, model):
    cfg = load(f'{model.split("_")[0]}/{model}_{next(iter(ITERATIONS[model]))}').model
    cfg.num_classes = 40
    if cfg.encoder.arch != 'large':
        cfg.encoder.position = 'absolute'
    built = build(cfg)
    trained = sum(parameter.numel() for parameter in built.parameters() if parameter.requires_grad)
    frozen = sum(parameter.numel() for parameter in built.parameters() if not parameter.requires_grad)
    assert (trained + frozen, trained) == pytest.approx([1e6 * count for count in PARAMETERS[model]], abs=6e4)


@pytest.mark.parametrize('stage', STAGES[:2])
@pytest.mark.parametrize('name', [
    'videomt/videomt_vitl_dinov2_vspw', 'videomt/videomt_vitl_dinov3_vipseg', 'pmt/pmt_vitl_dinov3_ovis',
    'lvmt/lvmt_vitl_dinov2_vipseg', 'lvmt/lvmt_vitl_dinov3_ytvis2022', 'mvc/videomt_vitl_dinov2_ovis',
    'mvc/lvmt_vitl_dinov3_vspw'
])
def test_training_step(name, stage):
    set_random_seed(0)
    cfg = load(f'{name}_{stage}')
    if cfg.model.get('chunk_size'):
        cfg.model.chunk_size = 2  # of the 3 frames of the clip
    model = build(shrink(cfg.model))
    model.init_weights()
    cfg.optim_wrapper.type = 'OptimWrapper'  # mixed precision needs a GPU
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.train()
    logs = model.train_step(make_batch(cfg), optim_wrapper)
    assert torch.isfinite(logs['loss'])
    still = {key for key, value in model.named_parameters() if torch.equal(value, before[key])}
    trained = {key for key, value in model.named_parameters() if value.requires_grad}
    assert still.isdisjoint(trained) and bool(still) == cfg.model.get('freeze_encoder', False)
    assert all(key.startswith('encoder.') for key in still)
    assert any(isinstance(module, nn.BatchNorm1d) for module in model.modules()) == ('sync_bn' in cfg)
