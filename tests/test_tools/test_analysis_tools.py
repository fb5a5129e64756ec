# Copyright (c) The mmvc contributors. All rights reserved.
"""``tools/analysis_tools`` as if from the command line, on generated videos and tiny models."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config

from tests.helpers.synthetic_sets import NUM_FRAMES, clip_pipeline, dataset_cfg, make_sets, whole_pipeline
from tests.helpers.tiny_models import STAGES, build_model, randomize_constants

TOOLS = Path(__file__).parents[2] / 'tools/analysis_tools'


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    return make_sets(tmp_path_factory.mktemp('sets'))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a tool; returns what it printed, or the message that it ended with."""

    def run_tool(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        capsys.readouterr()
        try:
            runpy.run_path(str(TOOLS / f'{name}.py'), run_name='__main__')
        except SystemExit as caught:
            return str(caught.code) + capsys.readouterr().err
        return capsys.readouterr().out

    return run_tool


@pytest.fixture
def make_config(sets, tmp_path):
    """Write the config of a tiny model on generated videos, and its checkpoint."""

    def make(task='vss', stage='DVISOffline'):
        cfg = Config(dict(
            default_scope='mmvc',
            model=STAGES[stage],
            train_dataloader=dict(dataset=dataset_cfg(
                sets, task, 'train', pipeline=clip_pipeline(task, dict(type='RandomPatchMask', patch_size=8)))),
            test_dataloader=dict(dataset=dataset_cfg(sets, task, pipeline=whole_pipeline(), test_mode=True))))
        cfg.dump(tmp_path / f'{stage}_{task}.py')
        checkpoint = tmp_path / f'{stage}.pth'
        if not checkpoint.exists():
            torch.save(dict(state_dict=randomize_constants(build_model(stage)).state_dict()), checkpoint)
        return tmp_path / f'{stage}_{task}.py', checkpoint

    return make


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_browse_dataset(run, make_config, tmp_path, task):
    config, _ = make_config(task)
    out = run('browse_dataset', config, '--out-dir', tmp_path / 'clips', '--num', 1, '--mask-ratio', 0.5)
    sheet, = (tmp_path / 'clips').iterdir()
    assert str(sheet) in out and cv2.imread(str(sheet)).shape[1] == 3 * 320
    run('browse_dataset', config, '--out-dir', tmp_path / 'blue', '--num', 1, '--mask-ratio', 1,
        '--cfg-options', 'model.data_preprocessor.mean=[200,0,0]')
    pixel = cv2.imread(str(next((tmp_path / 'blue').iterdir())))[40, 2 * 320 + 40]
    assert (pixel == [200, 0, 0]).all()  # the tiny models do not swap channels: their mean is that of B, G, R
    run('browse_dataset', config, '--out-dir', tmp_path / 'whole', '--split', 'test', '--form', 'video')
    videos = sorted((tmp_path / 'whole').iterdir())
    assert len(videos) == 2
    capture = cv2.VideoCapture(str(videos[0]))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == NUM_FRAMES
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * 320  # nothing is hidden unless asked for


def test_browse_dataset_errors(run, make_config):
    config, _ = make_config()
    assert 'no video "street"' in run('browse_dataset', config, '--videos', 'street')
    assert 'no val_dataloader' in run('browse_dataset', config, '--split', 'val')
    assert '--mask-ratio: it must lie' in run('browse_dataset', config, '--mask-ratio', 2)
    assert '--num: it must be at least 1' in run('browse_dataset', config, '--num', 0)


def test_compare_videos(run, make_config, sets, tmp_path):
    config, _ = make_config()
    for name, change in (('good', 0), ('bad', 1)):
        for path in sorted((sets / 'vspw/data').glob('val_*/mask/*.png')):
            mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            target = tmp_path / name / path.parents[1].name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), (mask.astype(int) - 1 + change * (mask > 0)).clip(0, 9))
    out = run('compare_videos', config, '--pred', f'Model A={tmp_path / "good"}', tmp_path / 'bad', '--form', 'sheet',
              '--out-dir', tmp_path / 'out', '--max-frames', 2)
    sheets = sorted((tmp_path / 'out').iterdir())
    assert len(sheets) == 2 and cv2.imread(str(sheets[0])).shape[1] == 5 * 320
    assert 'Model A 100.00%, bad ' in out and 'bad 100' not in out
    assert 'does not exist' in run('compare_videos', config, '--pred', 'A=nowhere', f'B={tmp_path / "bad"}')
    assert 'same name' in run('compare_videos', config, '--pred', 'A=x', 'A=y')
    assert 'two to 5 models' in run('compare_videos', config, '--pred', f'A={tmp_path / "bad"}')


def test_show_attention(run, make_config, tmp_path):
    config, checkpoint = make_config()
    out = run('show_attention', config, checkpoint, '--baseline', config, checkpoint, '--form', 'sheet', '--device',
              'cpu', '--out-dir', tmp_path / 'out', '--max-frames', 2)
    assert 'foreground queries is on background keys' in out
    numbers = json.loads((tmp_path / 'out/attention.json').read_text())
    assert numbers['models']['model'] == numbers['models']['baseline'] and numbers['video'] == 'val_00000'
    of_model = numbers['models']['model']
    assert len(of_model['plain']['by_frame']) == 2 and len(of_model['oma']['by_layer']) == 2
    assert cv2.imread(str(tmp_path / 'out/val_00000.png')).shape[1] == 6 * 320
    assert (tmp_path / 'out/val_00000_share.png').is_file()
    frames = Path(Config.fromfile(config).test_dataloader.dataset.data_root, 'data/val_00001/origin')
    run('show_attention', config, checkpoint, '--input', frames, '--form', 'frames', '--layer', 1, '--out-dir',
        tmp_path / 'frames', '--device', 'cpu')
    assert len(list((tmp_path / 'frames/origin').glob('*.png'))) == NUM_FRAMES
    assert 'no layer 7' in run('show_attention', config, checkpoint, '--layer', 7, '--device', 'cpu')
    assert 'no temporal refiner' in run('show_attention', *make_config(stage='DVISOnline'), '--device', 'cpu')
    assert '--drop-ratio: it must lie' in run('show_attention', config, checkpoint, '--drop-ratio', 0)


def test_masked_prediction(run, make_config, tmp_path):
    config, checkpoint = make_config(stage='MinVIS')
    out = run('masked_prediction', config, checkpoint, '--mask-ratio', 0.3, 0.7, '--patch-size', 8, '--num', 1,
              '--out-dir', tmp_path / 'out', '--device', 'cpu')
    summary = json.loads((tmp_path / 'out/masked_prediction.json').read_text())
    assert list(summary['mIoU']) == ['0', '0.3', '0.7'] and list(summary['videos']) == ['val_00000']
    assert summary['fall']['0.7'] == pytest.approx(summary['mIoU']['0'] - summary['mIoU']['0.7'])
    assert 'it falls by' in out
    for ratio in ('0.3', '0.7'):
        assert cv2.imread(str(tmp_path / f'out/val_00000_r{ratio}.png')).shape[1] == 5 * 320
    run('masked_prediction', config, checkpoint, '--form', 'none', '--device', 'cpu', '--out-dir',
        tmp_path / 'numbers')
    assert [path.name for path in (tmp_path / 'numbers').iterdir()] == ['masked_prediction.json']
    assert '--mask-ratio: it must lie' in run('masked_prediction', config, checkpoint, '--mask-ratio', 0)
    assert 'no video "street"' in run('masked_prediction', config, checkpoint, '--videos', 'street', '--device', 'cpu')
    assert 'does not exist' in run('masked_prediction', config, 'nowhere.pth')


@pytest.mark.parametrize('name', ['browse_dataset', 'compare_videos', 'masked_prediction', 'show_attention'])
def test_help_has_examples(run, name, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [f'{name}.py', '--help'])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(TOOLS / f'{name}.py'), run_name='__main__')
    text = capsys.readouterr().out
    assert caught.value.code == 0 and f'python tools/analysis_tools/{name}.py' in text and 'examples:' in text


def test_tables_of_documents(run, tmp_path):
    """Keep the results of a plan, write the table of a page, compare, plot."""
    metrics = [dict(name='mIoU', stage='a', number='vss/mIoU', evaluation='clean', minus=None, higher_is_better=True)]
    runs = [dict(variant=name, seed=seed, values=dict(mIoU=base + seed)) for name, base in (('base', 40), ('a', 50))
            for seed in (0, 1)]
    (tmp_path / 'results.json').write_text(json.dumps(dict(
        title='t', plan='configs/p.py', baseline='base', seeds=[0, 1], level=0.95, metrics=metrics, runs=runs)))
    (tmp_path / 'tables.yml').write_text(
        'name: {data: p, columns: [{label: mIoU, metric: mIoU}], rows: [{label: a, variant: a}]}')
    page = tmp_path / 'page.md'
    page.write_text('<!-- table: name -->\n<!-- end -->\n')
    arguments = [page, '--data', tmp_path]
    assert 'p.json" does not exist' in run('experiment_tables', *arguments)
    shown = run('experiment_tables', *arguments, '--add', tmp_path / 'results.json', '--picture', 'p',
                tmp_path / 'p.png')
    assert 'p.json: written' in shown and 'page.md: tables written' in shown
    assert '| a | 50.5 |' in page.read_text() and cv2.imread(str(tmp_path / 'p.png')).shape[1] >= 900
    assert 'all tables agree' in run('experiment_tables', *arguments, '--check')
    page.write_text(page.read_text().replace('50.5', '50.6'))
    assert 'without --check' in run('experiment_tables', *arguments, '--check')
    assert '--check writes nothing' in run('experiment_tables', *arguments, '--check', '--add', 'results.json')
