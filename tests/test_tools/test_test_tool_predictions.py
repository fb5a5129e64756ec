# Copyright (c) The mmvc contributors. All rights reserved.
"""``tools/test.py --format-only`` and ``--out-dir``: predictions in the formats of the benchmarks."""

import json
import os
import shutil
import sys

import pytest
import torch
from mmengine.config import Config

from mmvc.commands import test, testing
from mmvc.evaluation.files import evaluate_vss
from mmvc.formats.label_maps import read_label_map
from mmvc.formats.vspw import list_masks
from mmvc.registry import METRICS
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder
from tests.helpers.tiny_vss import TinyVSS, write_config, write_videos


@pytest.fixture
def run(tmp_path, monkeypatch, forget_runs):
    """Run the tool on the tiny model and the tiny videos."""
    config, data_root = write_config(tmp_path / 'tiny.py'), write_videos(tmp_path / 'videos')
    torch.save(dict(state_dict=TinyVSS(2).state_dict()), tmp_path / 'tiny.pth')

    def run_tool(*options):
        monkeypatch.setattr(sys, 'argv', ['test.py', config, str(tmp_path / 'tiny.pth'), '--data-root', data_root,
                                          '--work-dir', str(tmp_path / 'work'), *map(str, options)])
        forget_runs()
        test.main()

    return run_tool


def test_format_only_needs_no_ground_truth(run, tmp_path):
    masks = {path: read_label_map(str(path)) for path in (tmp_path / 'videos').glob('data/*/mask/*.png')}
    for folder in (tmp_path / 'videos/data').iterdir():
        shutil.rmtree(folder / 'mask')
    run('--format-only')
    assert len(list((tmp_path / 'work/results').glob('*/*.png'))) == len(masks) == 8
    for path, mask in masks.items():
        pred = read_label_map(str(tmp_path / 'work/results' / path.parents[1].name / path.name))
        assert (pred[mask > 0] == mask[mask > 0] - 1).all()


def test_out_dir_and_numbers(run, tmp_path):
    """The numbers of the written files, scored alone, are those of the test."""
    run('--out-dir', tmp_path / 'out', '--out', tmp_path / 'numbers.json')
    numbers = json.loads((tmp_path / 'numbers.json').read_text())
    report = evaluate_vss(tmp_path / 'out', list_masks(tmp_path / 'videos'), ('dark', 'bright'))
    assert 100 * report.numbers['mIoU'] == numbers['vss/mIoU'] == pytest.approx(100)
    with pytest.raises(SystemExit, match='2'):
        run('--format-only', '--out', tmp_path / 'numbers.json')


def test_where_predictions_go():
    """``--out-dir``, else what the config says, else the work dir; the config's format_only stays."""
    cfg = Config(dict(work_dir='work', test_evaluator=[
        dict(type='VISMetric', output_dir='there', format_only=True), dict(type='mmvc.VSSMetric')]))
    testing.request_predictions(cfg, None, False)
    assert [evaluator.output_dir for evaluator in cfg.test_evaluator] == ['there', 'work/results']
    assert [evaluator.get('format_only') for evaluator in cfg.test_evaluator] == [True, None]
    testing.request_predictions(cfg, 'here', True)
    assert all(evaluator.output_dir == 'here' and evaluator.format_only for evaluator in cfg.test_evaluator)
    cfg.test_evaluator = dict(type='DumpResults')
    with pytest.raises(UsageError, match='DumpResults does not write predictions'):
        testing.request_predictions(cfg, 'here', True)


@pytest.mark.parametrize('format_only, left', [(False, ['VSSMetric', 'ObjectMetric']), (True, ['VSSMetric'])])
def test_metrics_that_write_nothing_are_no_hindrance(format_only, left):
    """As in the configs of the ablations; the metrics are built from what is left."""
    cfg = Config(dict(work_dir='work', test_evaluator=[
        dict(type='VSSMetric'), dict(type='ObjectMetric', object_dir='objects')]))
    testing.request_predictions(cfg, 'here', format_only)
    metrics = [METRICS.build(evaluator) for evaluator in cfg.test_evaluator]
    assert [type(metric).__name__ for metric in metrics] == left
    assert metrics[0].output_dir == 'here' and metrics[0].format_only == format_only


TTA_PIPELINE = """
tta_pipeline = [
    dict(type='SampleAllFrames'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')])],
        [dict(type='TransformBroadcaster', transforms=[dict(type='mmdet.RandomFlip', prob=p)]) for p in (0.0, 1.0)],
        [dict(type='PackVideoSegInputs')],
    ]),
]
"""


def test_tta_votes_over_mirrored_videos(run, tmp_path):
    """A model that looks at single pixels gives the same answer mirrored, if predictions are mirrored back."""
    with open(tmp_path / 'tiny.py', 'a') as config:
        config.write(TTA_PIPELINE)
    run('--tta', '--out', tmp_path / 'numbers.json')
    assert json.loads((tmp_path / 'numbers.json').read_text())['vss/mIoU'] == pytest.approx(100)


@pytest.mark.parametrize('postprocessor, metric, tta, message', [
    ('VSSPostprocessor', 'VISMetric', False, 'VISMetric of test_evaluator cannot score'),
    ('mmvc.VPSPostprocessor', 'VPSMetric', True, '--tta votes on class maps'),
    ('VISPostprocessor', 'VISMetric', True, '--tta votes on class maps'),
])
def test_another_task_than_the_models_is_refused(postprocessor, metric, tta, message):
    cfg = Config(dict(model=dict(postprocessor=dict(type=postprocessor)), test_evaluator=[dict(type=metric)]))
    with pytest.raises(UsageError, match=message):
        testing.check_task(cfg, tta)


def test_missing_ground_truth_is_found_before_the_first_video(run, tmp_path, monkeypatch):
    monkeypatch.setattr(TinyVSS, 'forward', lambda *args, **kwargs: pytest.fail('a video was predicted'))
    (tmp_path / 'videos/data/right/mask/003.png').unlink()
    with pytest.raises(SystemExit, match='right/origin/003.png" of video "right" has no ground truth'):
        run()


def test_videos_that_annotations_lack_are_refused(tmp_path):
    (tmp_path / 'vis.json').write_text(json.dumps(dict(
        videos=[dict(id='a', file_names=['a/0.jpg'], height=2, width=3)], categories=[dict(id=1, name='cup')],
        annotations=[dict(id=1, video_id='a', category_id=1, segmentations=[None])])))
    (tmp_path / 'vps.json').write_text(json.dumps(dict(annotations=[], categories=[])))
    for name in ('VIS', 'VPS'):
        metric = METRICS.build(dict(type=f'{name}Metric', ann_file=str(tmp_path / f'{name.lower()}.json')))
        with pytest.raises(UsageError, match='video "b" is not in'):
            metric.check_video(dict(video_id='b', images=[]))


def test_tta_without_settings_uses_the_papers_scales():
    cfg = Config(dict(
        model=dict(type='TinyVSS'),
        test_dataloader=dict(dataset=dict(pipeline=[
            dict(type='SampleAllFrames'),
            dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
            dict(type='PackVideoSegInputs'),
        ]))))
    testing.enable_tta(cfg)
    assert cfg.model.type == 'VideoSegTTAModel' and cfg.model.module.type == 'TinyVSS'
    scales, flips, _ = cfg.test_dataloader.dataset.pipeline[-1].transforms
    assert len(scales) == 4 and len(flips) == 2


def tree(root):
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in root.rglob('*') if path.is_file()}


@pytest.mark.parametrize('option, target', [
    ('--out-dir', 'videos/data'), ('--out-dir', 'videos'), ('--out-dir', 'link'),
    ('--out-dir', 'videos/data/left/mask'), ('--show-dir', 'videos/data/left/origin/show'),
    ('--out', 'videos/val.txt'), ('--out', 'tiny.pth')])
def test_outputs_over_inputs_are_refused(run, tmp_path, option, target):
    (tmp_path / 'link').symlink_to('videos/data')
    before = tree(tmp_path / 'videos')
    with pytest.raises(SystemExit, match='would overwrite or mix with the input'):
        run(option, tmp_path / target)
    assert tree(tmp_path / 'videos') == before and torch.load(tmp_path / 'tiny.pth')


@pytest.mark.parametrize('name', ['../up', '/abs'])
def test_a_video_that_leaves_the_dataset_is_refused(run, tmp_path, name):
    (tmp_path / 'videos/val.txt').write_text(f'left\n{name}\n')
    with pytest.raises(SystemExit, match='val.txt": the name'):
        run('--out-dir', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_predictions_that_another_process_writes_are_left_alone(run, tmp_path, monkeypatch):
    monkeypatch.setattr('mmvc.utils.folder_lock.PATIENCE', 0.)
    with hold_folder(tmp_path / 'out'), pytest.raises(SystemExit, match=f'in use by process {os.getpid()} on'):
        run('--out-dir', tmp_path / 'out')
    run('--out-dir', tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['left', 'right']
