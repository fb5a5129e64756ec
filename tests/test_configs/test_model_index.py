# Copyright (c) The mmvc contributors. All rights reserved.
"""The model index that `mim` reads: paths, names and metadata."""
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TASKS = {
    'Video Semantic Segmentation': {'mIoU', 'VC8', 'VC16'},
    'Video Panoptic Segmentation': {'VPQ', 'STQ'},
    'Video Instance Segmentation': {'AP'},
}
METAFILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
CONTENTS = {name: yaml.safe_load((ROOT / name).read_text()) for name in METAFILES}
MODELS = [model for content in CONTENTS.values() for model in content['Models']]


def test_every_metafile_is_imported():
    found = {str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('metafile.yml')}
    assert found == set(METAFILES)


def test_names_are_unique():
    assert [name for name, count in Counter(model['Name'] for model in MODELS).items() if count > 1] == []


@pytest.mark.parametrize('metafile', METAFILES)
def test_every_stage_of_the_family_is_listed(metafile):
    family = (ROOT / metafile).parent
    # a config that lists stages is no model: it trains those of its stages
    configs = {str(path.relative_to(ROOT)) for path in family.glob('*.py') if '\nstages = [' not in path.read_text()}
    assert configs == {model['Config'] for model in CONTENTS[metafile]['Models']}


@pytest.mark.parametrize('metafile', METAFILES)
def test_collection(metafile):
    collection, = CONTENTS[metafile]['Collections']
    assert (ROOT / collection['README']).is_file() and collection['README'].startswith(f'{Path(metafile).parent}/')
    assert (ROOT / collection['Code']['URL']).is_file()
    assert collection['Paper']['URL'].startswith('https://arxiv.org/abs/')
    assert {model['In Collection'] for model in CONTENTS[metafile]['Models']} == {collection['Name']}


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_model(model):
    assert model['Name'].endswith(Path(model['Config']).stem)
    result, = model['Results']
    numbers = {**result['Metrics'], **model.get('Paper Results', {})}
    assert all(0 <= value <= 100 for value in numbers.values())
    assert set(result['Metrics']) <= TASKS[result['Task']]
    if 'Weights' in model:  # nothing is published yet
        assert model['Weights'].endswith('.pth')
