# Copyright (c) The mmvc contributors. All rights reserved.
"""The Python blocks of the documentation: configs build what they say on generated data, programs run."""

import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

import mmvc.registry
from mmvc.apis.loading import load_model
from mmvc.engine import load_stages
from mmvc.registry import DATASETS, METRICS
from tests.helpers.doc_commands import PAGES, ROOT, python_blocks_of
from tests.helpers.reduced import STAND_INS

BLOCKS = [(page.relative_to(ROOT).as_posix(), *block) for page in PAGES for block in python_blocks_of(page)]
IDS = [f'{page}:{line}' for page, line, _, _ in BLOCKS]
OWN = [(page, code, re.search(r'`(configs/\S+\.py)`', before)[1]) for page, _, code, before in BLOCKS
       if code.startswith('_base_') and 'stages = [' not in code]
REGISTRIES = [value for value in vars(mmvc.registry).values() if isinstance(value, Registry)]


@pytest.fixture
def build(here):
    """Write a config of the documentation into the configs of the reduced folder, and load it."""
    written = []

    def load(code: str, path: str) -> Config:
        (here / path).write_text(code)
        written.append(here / path)
        return Config.fromfile(str(here / path))

    yield load
    for path in written:
        path.unlink()


@pytest.mark.parametrize('page, code, path', OWN, ids=[f'{page} {path}' for page, _, path in OWN])
def test_own_datasets(build, page, code, path):
    assert len(code.splitlines()) <= 20
    cfg = build(code, path)
    with DefaultScope.overwrite_default_scope('mmvc'):
        train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
        METRICS.build(cfg.val_evaluator).dataset_meta = val.metainfo
        clip = train[0]
    assert len(train.metainfo['classes']) == len(val.metainfo['classes']) == cfg.num_classes == cfg.model.num_classes
    labels = {label for frame in clip['data_samples'] for label in frame.gt_instances.labels.tolist()}
    assert labels and labels <= set(range(cfg.num_classes))
    assert len(val[0]['data_samples']) == 3


def test_the_three_forms_are_there():
    assert [path.split('_')[-2] for page, _, path in OWN if page.endswith('own_dataset.md')] == [
        'kitchen', 'cups', 'park']


def test_own_stages(build):
    """The other stages are written in the same way, and the fourth file lists the three."""
    stages, = (code for _, _, code, _ in BLOCKS if code.startswith('_base_') and 'stages = [' in code)
    segmenter = next(code for page, code, path in OWN if page.endswith('own_dataset.md') and 'kitchen' in path)
    for name in ('segmenter', 'online', 'offline'):
        build(segmenter.replace('_segmenter', f'_{name}'), f'configs/mvc/dvispp_r18_kitchen_{name}.py')
    cfg = build(stages, 'configs/mvc/dvispp_r18_kitchen.py')
    loaded = load_stages(cfg, 'work', Config.fromfile)
    assert [stage.name for stage in loaded] == ['segmenter', 'online', 'offline']
    assert [stage.cfg.model.type for stage in loaded] == ['MinVIS', 'DVISOnline', 'DVISOffline']
    assert all(stage.cfg.model.num_classes == 2 for stage in loaded)


def types_in(value) -> Iterator[str]:
    """Whatever a config names by its type."""
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value['type']
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from types_in(item)


def _names(page: str) -> dict:
    """What the programs of a page take for granted."""
    if page.endswith('metrics.md'):
        maps = np.random.default_rng(0).integers(1, 125, (20, 8, 8), np.uint8)
        return dict(frames=[(gt, gt - 1) for gt in maps])
    if page.endswith('pictures.md'):
        model, cfg, _ = load_model(STAND_INS['CONFIG'], STAND_INS['CHECKPOINT'])
        with DefaultScope.overwrite_default_scope('mmvc'):
            item = DATASETS.build(cfg.test_dataloader.dataset)[0]
        data = model.data_preprocessor(dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
        return dict(model=model, video=data['inputs'][0], sample=data['data_samples'][0])
    return {}


def _stand_in(page: str, code: str) -> str:
    """Our video, weights and device for those of the reader."""
    if page.endswith('inference.md'):
        ours = f"'{STAND_INS['CONFIG']}', weights='{STAND_INS['CHECKPOINT']}', device='cpu'"
        code, count = re.subn(r"'mvc/\w+', weights='[\w.]+', device='cuda'", ours, code)
        assert count == 1
    return code


@pytest.mark.parametrize('page, line, code, before', [block for block in BLOCKS if not block[2].startswith('_base_')],
                         ids=[name for name, block in zip(IDS, BLOCKS) if not block[2].startswith('_base_')])
def test_blocks_run(here, page, line, code, before):
    names = _names(page)
    given = set(names)
    with torch.no_grad():
        exec(compile(_stand_in(page, code), f'{page}:{line}', 'exec'), names)
    made = {key: value for key, value in names.items()
            if key not in given and not key.startswith('__') and not isinstance(value, ModuleType)}
    assert made or 'print(' in code
    for kind in types_in(made):
        found = any(registry.get(kind) or registry.get(f'mmseg.{kind}') for registry in REGISTRIES)
        assert found, f'{kind} is in no registry'
