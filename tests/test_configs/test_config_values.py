# Copyright (c) The mmvc contributors. All rights reserved.
"""What the configs say, against the official recipes (DVIS++) and the papers' schedule (MVC)."""

import re

import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvc.engine import stage_names
from mmvc.registry import DATASETS, METRICS, VISUALIZERS
from tests.helpers.config_files import (
    CONFIG_DIR,
    DVIS_NAMES,
    ENCODER_ONLY_STAGES,
    FULL_SIZE,
    MVC_NAMES,
    NAMES,
    SMALL_BACKBONES,
    STAGE_NAMES,
    STAGED_NAMES,
    STAGES,
    baseline_of,
    differences,
    load,
    parts_of,
    stage_of,
    train_pipeline_of,
)

NUM_GPUS = 8
VIS = ('ovis', 'ytvis2019', 'ytvis2021')
NUM_CLASSES = dict(vspw=124, vipseg=124, ovis=25, ytvis2019=40, ytvis2021=40)

# Stage 1: frames, range, iterations, learning rate steps, clips per iteration, learning rate. The official
# configurations have no Swin-L; it is trained as R50.
SEGMENTER = dict(
    vspw=dict.fromkeys(('r50', 'vitl'), (4, 8, 20000, [14000, 18000], 16, 1e-4)),
    vipseg=dict(
        r50=(5, 10, 20000, [14000, 18000], 16, 1e-4),
        vitl=(4, 8, 20000, [14000, 18000], 16, 1e-4)),
    vis=dict(
        r50=(10, 15, 32000, [12000, 24000], 8, 5e-5),
        swinl=(10, 15, 32000, [12000, 24000], 8, 5e-5),
        vitl=(11, 5, 16000, [6000, 12000], 16, 5e-5)))
# Stage 3: frames, range.
REFINER_CLIP = dict(
    vspw=dict(r50=(21, 10), vitl=(21, 10)),
    vipseg=dict(r50=(11, 10), vitl=(21, 10)),
    vis=dict(r50=(15, 7), swinl=(15, 7), vitl=(21, 10)))


def expected_schedule(name: str) -> tuple:
    """Frames, range, iterations, steps, clips per iteration and learning rate of a full-size stage config."""
    folder, method, backbone, dataset = parts_of(name)
    family = 'vis' if dataset in VIS else dataset
    stage = stage_of(name)
    if stage == 'segmenter':
        frames, reach, iters, steps, batch, rate = SEGMENTER[family][backbone]
        if method in ('minvis', 'dvis'):
            iters, rate = (40000 if family == 'vis' else 20000), 1e-4
            frames, reach, steps = 1, 0, [iters * 7 // 10]
            batch = 16 if (dataset, backbone) == ('ovis', 'vitl') else 8
    else:
        (frames, reach), batch, rate = (5, 2) if stage == 'online' else REFINER_CLIP[family][backbone], 8, 1e-4
        iters = 40000 if family == 'vis' else 20000
        if stage == 'online' and method == 'dvispp' and family == 'vis' and backbone != 'vitl':
            iters = 160000 if dataset == 'ovis' else 80000
        steps = [iters * 7 // 10]
    if folder == 'mvc':
        iters = 60000 if stage == 'segmenter' else 160000 if family == 'vis' else 40000
        steps, rate = [iters * 7 // 10], 1e-4
    return frames, reach, iters, steps, batch, rate


def test_all_configs_are_there():
    expected = set()
    for dataset in NUM_CLASSES:
        for backbone in ('r50', 'swinl', 'vitl') if dataset in VIS else ('r50', 'vitl'):
            name = f'{backbone}_{dataset}'
            expected |= {f'dvispp/dvispp_{name}', f'mvc/dvispp_{name}', f'minvis/minvis_{name}'}
            if backbone == 'r50' and dataset in VIS:
                expected |= {f'dvis/dvis_{name}', f'mvc/dvis_{name}'}
    expected |= {f'mvc/dvispp_{backbone}_vspw_trainval' for backbone in ('r50', 'vitl')}
    assert {name for name in DVIS_NAMES if parts_of(name)[2] not in SMALL_BACKBONES} == expected


def test_files_are_few_and_bases_are_near():
    """At most 220 files; a config has at most two levels of bases above it, so that little has to be opened."""
    files = {path.resolve(): path.read_text() for path in CONFIG_DIR.rglob('*.py')}

    def levels(path) -> int:
        given = re.search(r"^_base_ = (\[.*?\]|'.*?')", files.get(path, ''), re.DOTALL | re.MULTILINE)
        bases = re.findall(r"'([^']+)'", given[1]) if given else []
        return 1 + max((levels((path.parent / base).resolve()) for base in bases), default=0)

    assert len(files) <= 220
    assert {path.name: levels(path) for path in files if levels(path) > 3} == {}


@pytest.mark.parametrize('name', FULL_SIZE)
def test_schedule(name):
    cfg = load(name)
    clip = train_pipeline_of(cfg)[0]
    batch_size = cfg.train_dataloader.batch_size * NUM_GPUS
    assert (clip.num_frames, clip.frame_range, cfg.train_cfg.max_iters, cfg.param_scheduler.milestones, batch_size,
            cfg.optim_wrapper.optimizer.lr) == expected_schedule(name)
    assert cfg.auto_scale_lr.base_batch_size == batch_size
    assert cfg.train_cfg.val_interval == cfg.train_cfg.max_iters
    assert (cfg.param_scheduler.type, cfg.param_scheduler.gamma) == ('MultiStepLR', 0.1)
    assert clip.get('reverse_prob', 0) == (0.5 if stage_of(name) == 'offline' else 0)
    optimizer = cfg.optim_wrapper.optimizer
    assert (cfg.optim_wrapper.type, optimizer.type, optimizer.weight_decay) == ('AmpOptimWrapper', 'AdamW', 0.05)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=0.01, norm_type=2)


@pytest.mark.parametrize('name', FULL_SIZE)
def test_model(name):
    folder, method, backbone, dataset = parts_of(name)
    model, stage = load(name).model, stage_of(name)
    backbones = dict(r50='mmdet.ResNet', swinl='mmdet.SwinTransformer', vitl='DINOv2ViTAdapter')
    assert model.type == dict(segmenter='MinVIS', online='DVISOnline', offline='DVISOffline')[stage]
    assert model.backbone.type == backbones[backbone]
    assert model.head.num_queries == (100 if backbone == 'r50' else 200)
    assert model.num_classes == NUM_CLASSES[dataset]
    postprocessor = dict(vspw='VSSPostprocessor', vipseg='VPSPostprocessor').get(dataset, 'VISPostprocessor')
    assert model.postprocessor.type == postprocessor
    if dataset in VIS:
        assert model.postprocessor.max_per_video == (20 if dataset == 'ovis' else 10)

    plain = method in ('minvis', 'dvis')
    assert model.head.get('with_reid', True) != plain
    assert (model.head.reid_loss is None) == plain
    if stage != 'segmenter':
        noise = model.tracker.noise
        long = stage == 'online' and (method, backbone) in (('dvispp', 'r50'), ('dvispp', 'swinl')) and dataset in VIS
        long |= stage == 'online' and folder == 'mvc' and dataset in VIS
        assert noise.mode == 'wa'
        if stage == 'online':
            assert noise.prob == (0.8 if long else 0.5)
        assert model.tracker.embed_dims == (256 if plain else 512)
        assert (model.tracker.reid_loss is None) == (plain or dataset == 'vipseg')
    if stage == 'offline':
        assert model.refiner.embed_dims == (256 if plain else 512)
        assert (model.refiner.reid_loss is None) == (plain or dataset in ('vipseg', 'ovis'))
        assert model.refiner.cross_attn.drop_ratio == (0.5 if folder == 'mvc' else 0)


@pytest.mark.parametrize('name', FULL_SIZE)
def test_initial_weights(name):
    """Each stage starts from the one before, the first from COCO; a backbone's own weights are loaded there only."""
    cfg = load(name)
    folder, method, backbone, dataset = parts_of(name)
    stage = stage_of(name)
    if stage == 'segmenter':
        task = 'instance' if dataset in VIS else 'panoptic'
        assert cfg.load_from == f'checkpoints/mask2former_{backbone}_coco-{task}.pth'
        assert ('init_cfg' in cfg.model.backbone) == (backbone == 'vitl')
        return
    before = name.replace(stage, STAGES[STAGES.index(stage) - 1])
    if (folder, stage) == ('dvis', 'online'):  # its segmenter is that of MinVIS
        assert not differences(load(before), load(f'minvis/minvis_{backbone}_{dataset}'))
        before = f'minvis/minvis_{backbone}_{dataset}'
    assert before in STAGE_NAMES
    assert cfg.load_from == f'checkpoints/{before}.pth'
    assert cfg.model.backbone.get('init_cfg') is None


@pytest.mark.parametrize('name', STAGED_NAMES)
def test_stages(name):
    cfg = load(name)
    assert stage_names(cfg) == list(STAGES)
    assert not differences(cfg, load(f'{name}_offline'))  # the top level is the last stage, for mmengine and mim
    models = [load(f'{name}_{stage}').model for stage in STAGES]
    assert [model.type for model in models] == ['MinVIS', 'DVISOnline', 'DVISOffline']
    for before, after in zip(models, models[1:]):  # each goes on with what the one before has trained
        for part in ('backbone', 'head', 'tracker'):
            if part in before:
                assert without(before[part]) == without(after[part])


def without(part: dict, names: tuple = ('init_cfg', 'noise')) -> dict:
    """A part's config but for what matters in the stage that trains it only."""
    return {key: value for key, value in part.items() if key not in names}


@pytest.mark.parametrize('name', STAGE_NAMES + ENCODER_ONLY_STAGES)
def test_number_of_classes_is_the_datasets(name):
    cfg = load(name)
    dataset = cfg.val_dataloader.dataset
    kind = DATASETS.get(dataset.type)
    metainfo = dataset.get('metainfo') or (kind.VERSIONS[dataset.version] if 'version' in dataset else kind.METAINFO)
    assert cfg.model.num_classes == len(metainfo['classes'])
    if cfg.model.postprocessor.type == 'VPSPostprocessor' and 'thing_classes' in metainfo:
        names = {metainfo['classes'][index] for index in cfg.model.postprocessor.thing_classes}
        assert names == set(metainfo['thing_classes'])
        assert len(names) == len(cfg.model.postprocessor.thing_classes)


@pytest.mark.parametrize('name', STAGE_NAMES + ENCODER_ONLY_STAGES)
def test_parts_are_known(name):
    cfg = load(name)
    init_default_scope('mmvc')
    for pipeline in (train_pipeline_of(cfg), cfg.val_dataloader.dataset.pipeline):
        Compose(pipeline)
    assert METRICS.get(cfg.val_evaluator.type) and VISUALIZERS.get(cfg.visualizer.type)
    assert DATASETS.get(cfg.train_dataloader.dataset.type)


@pytest.mark.parametrize('name', MVC_NAMES)
def test_method_changes_only_what_is_its_own(name):
    cfg, baseline, stage = load(name), load(baseline_of(name)), stage_of(name)
    assert (cfg.mvc, cfg.masked_loss_weight, cfg.oma) == (
        dict(patch_size=32, mask_ratio=0.7, prob=0.5), 1.0, dict(drop_ratio=0.5, threshold=0.6))

    pipeline = list(train_pipeline_of(cfg))
    masks = dict(segmenter='RandomPatchMask', online='TubeMask')
    if stage in masks:  # behind everything but packing
        assert pipeline.pop(-2) == dict(type=masks[stage], **cfg.mvc)
        assert cfg.model.masked_loss_weight == cfg.masked_loss_weight
    else:
        assert {key: cfg.model.refiner.cross_attn[key] for key in cfg.oma} == cfg.oma
    assert pipeline == train_pipeline_of(baseline)

    schedule = {'train_cfg.max_iters', 'train_cfg.val_interval', 'param_scheduler.milestones', 'load_from',
                'optim_wrapper.optimizer.lr', 'model.tracker.noise.prob'}
    per_stage = {
        **dict.fromkeys(masks, {'model.masked_loss_weight', 'train_dataloader.dataset.pipeline'}),
        'offline': {'model.refiner.cross_attn.drop_ratio', 'model.refiner.cross_attn.threshold'},
    }
    assert differences(cfg, baseline) <= schedule | per_stage[stage]


@pytest.mark.parametrize('name', NAMES)
def test_leaves_are_short(name):
    lines = (CONFIG_DIR / f'{name}.py').read_text().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) < 120


def test_a_config_can_be_written_out(tmp_path):
    cfg = load('mvc/dvispp_vitl_vspw_online')
    cfg.dump(str(tmp_path / 'all_in_one.py'))
    assert Config.fromfile(str(tmp_path / 'all_in_one.py')).model == cfg.model
