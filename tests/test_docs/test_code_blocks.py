# Copyright (c) The mmvc contributors. All rights reserved.
"""The Python blocks of the documentation: configs build what they say on generated data, programs run."""

import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, Registry

import mmvc.registry
from mmvc.apis.loading import load_model
from mmvc.engine import load_config
from mmvc.registry import DATASETS, METRICS
from tests.helpers.doc_commands import PAGES, ROOT, python_blocks_of
from tests.helpers.hub_repositories import TOKEN, USER, serve_hub
from tests.helpers.reduced import OWN_CONFIGS, STAND_INS

BLOCKS = [(page.relative_to(ROOT).as_posix(), *block) for page in PAGES for block in python_blocks_of(page)]
IDS = [f'{page}:{line}' for page, line, _, _ in BLOCKS]
REGISTRIES = [value for value in vars(mmvc.registry).values() if isinstance(value, Registry)]


@pytest.mark.parametrize('path', sorted({path for path, _ in OWN_CONFIGS}))
def test_own_datasets(here, path):
    cfg = load_config(str(here / path))
    assert len((here / path).read_text().splitlines()) <= 20
    with DefaultScope.overwrite_default_scope('mmvc'):
        train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
        METRICS.build(cfg.val_evaluator).dataset_meta = val.metainfo
        clip = train[0]
    assert len(train.metainfo['classes']) == len(val.metainfo['classes']) == cfg.model.num_classes
    labels = {label for frame in clip['data_samples'] for label in frame.gt_instances.labels.tolist()}
    assert labels and labels <= set(range(cfg.model.num_classes))
    assert len(val[0]['data_samples']) == 3


@pytest.mark.parametrize('path', sorted({path for path, _ in OWN_CONFIGS}))
def test_own_datasets_have_all_stages(here, path):
    stages = [load_config(str(here / path), stage=stage) for stage in ('segmenter', 'online', 'offline')]
    assert [stage.model.type for stage in stages] == ['MinVIS', 'DVISOnline', 'DVISOffline']
    assert len({stage.model.num_classes for stage in stages}) == 1
    assert len({str(stage.train_dataloader.dataset.data_root) for stage in stages}) == 1


def test_the_three_forms_are_there():
    names = {path.split('_')[-1] for path, _ in OWN_CONFIGS}
    assert names == {'kitchen.py', 'cups.py', 'park.py'} and len(OWN_CONFIGS) == 5  # kitchen in the README, too
    assert len({code for path, code in OWN_CONFIGS if 'kitchen' in path}) == 1


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
    if page.endswith(('inference.md', 'official_weights.md')):
        ours = f"'{STAND_INS['CONFIG']}', weights='{STAND_INS['CHECKPOINT']}', device='cpu'"
        code, count = re.subn(r"'mvc/\w+', weights='[\w.]+', device='cuda'", ours, code)
        assert count == 1
    if page == 'README.md':
        ours = f"'{STAND_INS['CONFIG']}', weights='{STAND_INS['CHECKPOINT']}'"
        code = code.replace("'dvispp_r50_vspw_online'", ours)
    return code.replace("'user/", f"'{USER}/")


@pytest.fixture
def services(request, tmp_path, monkeypatch):
    """The hub, for the block that uses it."""
    if 'push_to_hub' not in request.getfixturevalue('code'):
        yield
        return
    with serve_hub(monkeypatch, str(tmp_path / 'cache')):
        monkeypatch.setenv('HF_TOKEN', TOKEN)
        yield


@pytest.mark.parametrize('page, line, code, before', [block for block in BLOCKS if not block[2].startswith('_base_')],
                         ids=[name for name, block in zip(IDS, BLOCKS) if not block[2].startswith('_base_')])
def test_blocks_run(here, services, page, line, code, before):
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
