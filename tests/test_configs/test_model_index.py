# Copyright (c) The mmvc contributors. All rights reserved.
"""The model index that `mim` reads, and the READMEs beside it: paths, names, metadata, numbers."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmvc.engine import stage_names
from mmvc.utils.config_names import config_files
from mmvc.zoo.addresses import parse_hub_address
from tests.helpers.config_files import ENCODER_ONLY, NAMES, load

ROOT = Path(__file__).resolve().parents[2]
TASKS = {
    'Video Semantic Segmentation': ('VSSMetric', {'mIoU', 'VC8', 'VC16'}),
    'Video Panoptic Segmentation': ('VPSMetric', {'VPQ', 'STQ'}),
    'Video Instance Segmentation': ('VISMetric', {'AP'}),
}
DATA = {  # root of a config's dataset -> what it was trained on, what it is tested on
    'data/VSPW_480p': ('VSPW', 'VSPW val'),
    'data/VIPSeg_720P': ('VIPSeg', 'VIPSeg val'),
    'data/ovis': ('OVIS', 'OVIS val'),
    'data/youtube_vis_2019': ('YouTube-VIS 2019', 'YouTube-VIS 2019 val'),
    'data/youtube_vis_2021': ('YouTube-VIS 2021', 'YouTube-VIS 2021 val'),
    'data/youtube_vis_2022': ('YouTube-VIS 2022', 'YouTube-VIS 2022 val'),
    'data/camvid': ('CamVid', 'CamVid'),
    'data/camvid_vps': ('CamVid with segments', 'CamVid with segments'),
    'data/davis': ('DAVIS 2017', 'DAVIS 2017'),
    'data/synthetic/vspw': ('generated videos', 'generated videos'),
    'data/synthetic/vipseg': ('generated videos', 'generated videos'),
    'data/synthetic/ytvis': ('generated videos', 'generated videos'),
}
DATASETS = '(vspw|vipseg|ovis|ytvis2019|ytvis2021|ytvis2022|camvid|davis|synthetic)'
ENCODERS = '(vit(s|b|l)_dinov(2|3)|tiny)'
# {algorithm}_{backbone}_{dataset}, then what tells the configs of a family apart
NAMING = {
    'configs/minvis': rf'minvis_(r50|swinl|vitl)_{DATASETS}',
    'configs/dvis': rf'dvis_r50_{DATASETS}',
    'configs/dvispp': rf'dvispp_(efflite0|r18|r50|swinl|vitl)_{DATASETS}',
    **{f'configs/{method}': rf'{method}_{ENCODERS}_{DATASETS}' for method in ENCODER_ONLY},
    'configs/mvc': rf'((dvis|dvispp)_(efflite0|r18|r50|swinl|vitl)|(videomt|pmt|lvmt)_{ENCODERS})_{DATASETS}'
    r'(_trainval|_vps|_vis)?',
    'configs/plugins/mmseg': rf'[a-z0-9]+_[a-z0-9-]+_{DATASETS}(_mvc)?',
    'configs/plugins/mmdet': rf'[a-z0-9]+_[a-z0-9-]+_{DATASETS}(_mvc)?',
}
KEYS = {'Name', 'In Collection', 'Config', 'Stage', 'Metadata', 'Results', 'Paper Results', 'Weights',
        'Weights Details'}
DETAILS = {'Licence', 'Layout', 'Read', 'Seen In'}  # what must be known of published weights
MORE_DETAILS = {'Checksum', 'Size', 'Options'}
START_WEIGHTS = yaml.safe_load((ROOT / 'configs/start_weights.yml').read_text())['Models']

METAFILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
CONTENTS = {name: yaml.safe_load((ROOT / name).read_text()) for name in METAFILES}
MODELS = [model for content in CONTENTS.values() for model in content['Models']]


def test_every_family_is_imported():
    found = {str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('metafile.yml')}
    assert found == set(METAFILES) == {f'{family}/metafile.yml' for family in NAMING}


def test_names_are_unique():
    assert [name for name, count in Counter(model['Name'] for model in MODELS).items() if count > 1] == []


def test_every_name_is_found():
    files = config_files()
    for model in MODELS:
        found = files[model['Name']]
        config = found.path.resolve().relative_to(ROOT).as_posix()
        assert (config, found.stage) == (model['Config'], model.get('Stage'))


@pytest.mark.parametrize('metafile', METAFILES)
def test_every_stage_of_the_family_is_listed(metafile):
    family = (ROOT / metafile).parent
    stages = {(path.relative_to(ROOT).as_posix(), stage) for path in family.glob('*.py')
              for stage in stage_names(Config.fromfile(str(path))) or [None]}
    listed = [(model['Config'], model.get('Stage')) for model in CONTENTS[metafile]['Models']]
    if family.name == 'dvis':  # its segmenter is that of MinVIS, which is listed there
        stages = {(config, stage) for config, stage in stages if stage != 'segmenter'}
    assert sorted(listed, key=str) == sorted(stages, key=str)


@pytest.mark.parametrize('metafile', METAFILES)
def test_collection(metafile):
    collection, = CONTENTS[metafile]['Collections']
    assert collection['README'] == str(Path(metafile).with_name('README.md'))
    assert (ROOT / collection['Code']['URL']).is_file()
    assert re.fullmatch(r'https://arxiv\.org/abs/\d{4}\.\d{5}', collection['Paper']['URL'])
    assert collection['Paper']['Title'] and collection['Metadata']['Architecture']
    assert {model['In Collection'] for model in CONTENTS[metafile]['Models']} == {collection['Name']}


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_model(model):
    path = Path(model['Config'])
    assert set(model) <= KEYS and re.fullmatch(NAMING[str(path.parent)], path.stem)
    stem = '_'.join([path.stem, *([model['Stage']] if 'Stage' in model else [])])
    assert model['Name'] == (f'mvc_{stem}' if path.parent.name == 'mvc' else stem)
    result, = model['Results']
    metric, numbers = TASKS[result['Task']]
    assert set(result['Metrics']) <= numbers
    assert all(0 <= value <= 100 for value in {**result['Metrics'], **model.get('Paper Results', {})}.values())
    assert ('Weights' in model) == ('Weights Details' in model)

    name = str(path.relative_to('configs').with_suffix(''))
    cfg = load(name) if name in NAMES else Config.fromfile(str(ROOT / path))
    trained, tested = DATA[cfg.data_root]
    if '_trainval' in name:
        trained, tested = 'VSPW train + val', 'VSPW test'
    assert (model['Metadata']['Training Data'], result['Dataset']) == (trained, tested)
    assert cfg.val_evaluator.type.split('.')[-1] == metric


@pytest.mark.parametrize('model', [model for model in (*MODELS, *START_WEIGHTS) if 'Weights' in model],
                         ids=lambda model: model['Name'])
def test_published_weights(model):
    """The address is one of the hub or https, and what is known of it has the form that downloads need."""
    details = model['Weights Details']
    assert DETAILS <= details.keys() <= DETAILS | MORE_DETAILS
    assert details['Layout'] in ('official', 'mmvc') and details['Licence'].strip()
    assert re.fullmatch(r'\d{4}-\d\d-\d\d', details['Read']) and details['Seen In'].startswith('https://')
    assert re.fullmatch(r'sha256:[0-9a-f]{8,64}|md5:[0-9a-f]{6,32}', details.get('Checksum', 'sha256:00000000'))
    assert re.fullmatch(r'\d+(\.\d+)? [MG]B', details.get('Size', '1 MB'))
    assert details.get('Options', {}).keys() <= {'drop_class_head', 'plain_vit', 'position_grid'}
    file = parse_hub_address(model['Weights'])
    if file is None:
        assert model['Weights'].startswith('https://') and model['Weights'].endswith(('.pth', '.pkl'))
    else:
        assert file.is_pinned or file.revision == 'main'
        assert file.file.endswith(('.pth', '.safetensors'))
        assert not file.is_pattern or '*' in file.file and 'Checksum' not in details


def test_sources_of_published_weights_are_documented():
    """Each repository and server has a row, with the licence and the day of reading."""
    rows = [line for line in (ROOT / 'docs/en/model_zoo.md').read_text().splitlines() if line.endswith('| no |')]
    sources = set()
    for model in (*MODELS, *START_WEIGHTS):
        if 'Weights' in model:
            file = parse_hub_address(model['Weights'])
            source = model['Weights'].split('/')[2] if file is None else file.repo
            sources.add(source)
            assert any(source in row and model['Weights Details']['Read'] in row for row in rows), source
            revision = 'main' if file is None or not file.is_pinned else f'commit {file.revision[:7]}'
            assert file is None or any(source in row and revision in row for row in rows)
    assert len(sources) == 11


def test_start_weights():
    """Their names are those of the files that configs load, and they do not hide a model."""
    names = [model['Name'] for model in START_WEIGHTS]
    assert len(set(names)) == len(names) and not {*names} & {model['Name'] for model in MODELS}
    loaded = {Path(path).stem.replace('-', '_') for file in (ROOT / 'configs').rglob('*.py')
              for path in re.findall(r"load_from='?\s*=?\s*'?(checkpoints/[^']+)'", file.read_text())}
    unused = {name for name in names if name not in loaded and not name.endswith(('_detectron2', '_hf'))}
    assert unused == {'mask2former_swinl_coco_panoptic'}


def numbers_of_metafile(content: dict) -> dict:
    """Numbers by backbone, stage, dataset and name; ours and the papers'."""
    numbers = dict(ours={}, papers={})
    for model in content['Models']:
        method, *backbone = Path(model['Config']).stem.split('_')[:-1]
        backbone, stage = '_'.join(backbone if method in ENCODER_ONLY else backbone[:1]), model.get('Stage')
        result, = model['Results']
        for whose, values in (('ours', result['Metrics']), ('papers', model.get('Paper Results', {}))):
            for name, value in values.items():
                key = backbone, stage, result['Dataset'].removesuffix(' val'), name
                assert key not in numbers[whose]
                if name not in ('VPQ_Th', 'VPQ_St'):  # not in the tables
                    numbers[whose][key] = value
    return numbers


def numbers_of_readme(text: str) -> dict:
    """The same from the tables, whose columns are headed `DATASET NAME / NAME` and whose rows `BACKBONE, STAGE`.

    A hyphen stands for a number that is not published.
    """
    numbers = dict(ours={}, papers={})
    for section in text.split('\n## ')[1:]:
        whose = 'ours' if section.startswith('Our numbers') else 'papers'
        rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in section.splitlines() if '|' in line]
        for label, *cells in rows[2:]:
            backbone, stage = label.lower().replace('-', '').split(', ')
            backbone = backbone.replace(' ', '_')
            for head, cell in zip(rows[0][1:], cells):
                dataset, first = head.split(' / ')[0].rsplit(' ', 1)
                names = [first, *head.split(' / ')[1:]]
                for name, value in zip(names, cell.split(' / ') if cell else (), strict=bool(cell)):
                    if value != '-':
                        numbers[whose][backbone, stage, dataset, name] = float(value)
    return numbers


@pytest.mark.parametrize('metafile', METAFILES)
def test_numbers_in_readme(metafile):
    expected = numbers_of_metafile(CONTENTS[metafile])
    assert numbers_of_readme((ROOT / metafile).with_name('README.md').read_text()) == expected
    assert bool(expected['papers']) == (Path(metafile).parent.name in ('mvc', 'dvispp', *ENCODER_ONLY))


def test_our_numbers_are_those_of_the_results():
    """Every number of ours stands in docs/en/results.md, rounded, in one cell or row with those of the same model."""
    rows = [re.findall(r'\d+\.\d', line) for line in (ROOT / 'docs/en/results.md').read_text().splitlines()]
    ours = [model['Results'][0]['Metrics'] for model in MODELS if model['Results'][0]['Metrics']]
    assert len(ours) == 9
    for metrics in ours:
        assert any(
            all(abs(float(cell) - value) < 0.051 for cell, value in zip(row[start:], metrics.values()))
            for row in rows for start in range(len(row) - 2)), metrics
