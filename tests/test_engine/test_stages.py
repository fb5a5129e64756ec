# Copyright (c) The mmvc contributors. All rights reserved.
import importlib.util
import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvc.engine import Stage, enable_backends, run_stages
from mmvc.engine.hooks import WeightMismatchError
from mmvc.engine.stages import plan_stages
from mmvc.engine.summary import format_summary
from mmvc.utils.errors import UsageError
from mmvc.visualization import VideoSegLocalVisualizer
from tests.helpers.tiny_stages import TinyModel, load_tiny_stages, write_config

NAMES = ['segmenter', 'online', 'offline']


@pytest.fixture
def logged(monkeypatch):
    """What the search for checkpoints logs."""
    messages = []
    monkeypatch.setattr('mmvc.engine.checkpoints.print_log', lambda message, **kwargs: messages.append(message))
    return messages


def weights(path):
    return torch.load(path, weights_only=False)['state_dict']


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and work dir of three finished stages."""
    folder = tmp_path_factory.mktemp('stages')
    config = write_config(folder)
    numbers = run_stages(load_tiny_stages(config, folder / 'work'))
    return config, folder / 'work', numbers


def copy_of(work_dir: Path, target: Path) -> Path:
    """Copy markers and checkpoints, not logs."""
    for path in work_dir.glob('*/*'):
        if path.is_file():
            (target / path.parent.name).mkdir(parents=True, exist_ok=True)
            (target / path.parent.name / path.name).write_bytes(path.read_bytes())
    return target


def scalars_of(folder: Path) -> list[dict]:
    """What a stage logged, in all its runs."""
    return [json.loads(line) for path in sorted(folder.glob('*/vis_data/scalars.json'))
            for line in path.read_text().splitlines()]


class TestLogs:
    """Each stage logs into its own folder, whatever the name of the visualizer."""

    @pytest.fixture(scope='class')
    def logged_stages(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp('logs')
        stages = load_tiny_stages(write_config(folder), folder / 'work', **{'visualizer.name': 'visualizer'})
        for stage in stages:
            stage.cfg.default_hooks.logger = dict(type='mmengine.LoggerHook', interval=1, log_metric_by_epoch=False)
            if importlib.util.find_spec('tensorboard'):
                enable_backends(stage.cfg, ['tensorboard'])
        run_stages(stages)
        return stages

    def test_the_numbers(self, logged_stages):
        for stage, length in zip(logged_stages, (6, 5, 4)):
            folder = Path(stage.work_dir)
            assert [entry['step'] for entry in scalars_of(folder) if 'loss' in entry] == list(range(1, length + 1))
            assert any('tiny/mIoU' in entry for entry in scalars_of(folder))

    def test_the_config(self, logged_stages):
        for stage in logged_stages:
            path, = Path(stage.work_dir).glob('*/vis_data/config.py')
            cfg = Config.fromfile(path)
            assert cfg.experiment_name == stage.name and cfg.train_cfg.max_iters == stage.cfg.train_cfg.max_iters

    def test_the_curves_of_tensorboard(self, logged_stages):
        pytest.importorskip('tensorboard')
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        for stage, length in zip(logged_stages, (6, 5, 4)):
            folder, = Path(stage.work_dir).glob('*/vis_data')
            assert len(list(folder.glob('events.*'))) == 1
            events = EventAccumulator(str(folder))
            events.Reload()
            assert [event.step for event in events.Scalars('loss')] == list(range(1, length + 1))

    def test_a_training_that_fails_closes_its_curves(self, tmp_path, monkeypatch):
        closed = []
        monkeypatch.setattr(VideoSegLocalVisualizer, 'close', lambda self: closed.append(self))
        monkeypatch.setattr(TinyModel, 'predict', lambda self, inputs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_stages(load_tiny_stages(write_config(tmp_path), tmp_path / 'work'))
        assert len(closed) == 1


class TestLoadStages:

    def test_a_stage_has_something_to_train(self, tmp_path):
        path = tmp_path / 'all.py'
        path.write_text('stages = dict(a=dict())')
        with pytest.raises(UsageError, match='all.py": stage "a" has no train_cfg'):
            load_tiny_stages(str(path), 'work')

    def test_work_dirs_and_options(self, tmp_path):
        stages = load_tiny_stages(write_config(tmp_path), tmp_path / 'w', **{'optim_wrapper.optimizer.lr': 0.5})
        assert [stage.name for stage in stages] == NAMES
        assert [stage.cfg.optim_wrapper.optimizer.lr for stage in stages] == [0.5] * 3
        assert stages[1].work_dir == stages[1].cfg.work_dir == str(tmp_path / 'w/online')
        assert stages[0].schedule == dict(max_iters=6)


class TestRunStages:

    def test_what_a_run_leaves(self, trained):
        _, work_dir, numbers = trained
        summary = json.loads((work_dir / 'summary.json').read_text())
        assert list(summary) == list(numbers) == NAMES
        assert [summary[name]['iter'] for name in NAMES] == [6, 5, 4]
        assert [summary[name]['checkpoint'] for name in NAMES] == [
            'segmenter/iter_6.pth', 'online/iter_5.pth', 'offline/iter_4.pth'
        ]
        assert numbers['online']['tiny/mIoU'] == summary['online']['metrics']['tiny/mIoU']
        # only the last two checkpoints are kept
        kept = sorted(path.name for path in (work_dir / 'segmenter').glob('iter_*.pth'))
        assert kept == ['iter_4.pth', 'iter_6.pth']
        assert not list(work_dir.glob('**/*.tmp'))

    def test_each_stage_starts_from_the_one_before(self, trained, tmp_path):
        config, original, _ = trained
        work_dir = copy_of(original, tmp_path / 'work')
        run_stages(load_tiny_stages(config, work_dir, **{'optim_wrapper.optimizer.lr': 0.}), NAMES[1:], overwrite=True)
        first, second, third = (weights(work_dir / file) for file in (
            'segmenter/iter_6.pth', 'online/iter_5.pth', 'offline/iter_4.pth'))
        assert_same(first, {name: second[name] for name in first})
        assert_same(second, third)

    def test_finished_stages_are_skipped(self, trained, tmp_path):
        config, work_dir, numbers = trained
        work_dir = copy_of(work_dir, tmp_path / 'work')
        stages = load_tiny_stages(config, work_dir)
        before = {path: path.stat().st_mtime_ns for path in work_dir.glob('*/*.pth')}
        assert [step.action for step in plan_stages(stages, resume=True)] == ['skip'] * 3
        assert run_stages(stages, resume=True) == numbers
        assert {path: path.stat().st_mtime_ns for path in work_dir.glob('*/*.pth')} == before

    def test_a_stage_without_marker_is_not_finished(self, trained, tmp_path):
        """As after a kill between the last checkpoint and the end of the final validation."""
        config, original, numbers = trained
        work_dir = copy_of(original, tmp_path / 'work')
        (work_dir / 'offline/finished.json').unlink()
        stages = load_tiny_stages(config, work_dir)
        assert [step.action for step in plan_stages(stages, resume=True)] == ['skip', 'skip', 'resume']
        assert run_stages(stages, resume=True) == numbers
        assert_same(weights(work_dir / 'offline/iter_4.pth'), weights(original / 'offline/iter_4.pth'))

    def test_truncated_checkpoint_falls_back_to_the_one_before(self, trained, tmp_path, logged):
        config, original, numbers = trained
        work_dir = copy_of(original, tmp_path / 'work')
        broken = work_dir / 'offline/iter_4.pth'  # the marker names it: not finished, whatever it says
        os.truncate(broken, broken.stat().st_size // 2)
        stages = load_tiny_stages(config, work_dir)
        steps = plan_stages(stages, resume=True)
        assert (steps[2].action, steps[2].checkpoint) == ('resume', str(work_dir / 'offline/iter_2.pth'))
        assert len(logged) == 1 and str(broken) in logged[0]
        assert run_stages(stages, resume=True) == numbers
        assert_same(weights(broken), weights(original / 'offline/iter_4.pth'))

    def test_code_in_a_checkpoint_is_not_run(self, trained, tmp_path, monkeypatch):
        """``meta.config`` is what mmengine runs when it resumes, ``meta.cfg`` what an inferencer reads."""
        config, original, numbers = trained
        monkeypatch.delenv('MMVC_TRUST_CHECKPOINTS', raising=False)
        work_dir = copy_of(original, tmp_path / 'work')
        for name in ('offline/iter_4.pth', 'offline/finished.json'):
            (work_dir / name).unlink()
        path = work_dir / 'offline/iter_2.pth'
        content = torch.load(path, weights_only=False)
        code = f'__import__("os").mkdir({str(tmp_path / "trace")!r})'
        content['meta'].update(config=code, cfg=code)
        torch.save(content, path)
        assert run_stages(load_tiny_stages(config, work_dir), resume=True) == numbers
        assert not (tmp_path / 'trace').exists()
        assert_same(weights(work_dir / 'offline/iter_4.pth'), weights(original / 'offline/iter_4.pth'))

    def test_overwriting_leaves_the_files_of_others(self, trained, tmp_path):
        config, original, _ = trained
        work_dir = copy_of(original, tmp_path / 'work')
        for name in ('pretrained.pth', 'coco_50.pth'):
            (work_dir / 'offline' / name).write_text('of the user')
        plan_stages(load_tiny_stages(config, work_dir), ['offline'], overwrite=True)
        assert sorted(path.name for path in work_dir.glob('offline/*.pth')) == ['coco_50.pth', 'pretrained.pth']

    def test_resume_after_a_change_of_stages(self, trained, tmp_path):
        """As after a kill before the first checkpoint of a stage."""
        config, original, numbers = trained
        work_dir = copy_of(original, tmp_path / 'work')
        for path in (work_dir / 'offline').iterdir():
            path.unlink()
        assert run_stages(load_tiny_stages(config, work_dir), resume=True) == numbers

    @pytest.mark.parametrize('names, message', [
        (['segmenter', 'offline'], 'stage "offline" in .* is finished, but it started from other weights'),
        (['online', 'offline'], 'stage "online" in .* is finished, but it started from other weights'),
        (['online', 'segmenter', 'offline'], 'stage "online" in .* is finished, but it started from other weights'),
    ])
    def test_a_stage_is_finished_only_for_the_stages_before(self, trained, tmp_path, names, message):
        config, original, _ = trained
        stages = load_tiny_stages(config, copy_of(original, tmp_path / 'work'))
        with pytest.raises(UsageError, match=message):
            run_stages([stages[NAMES.index(name)] for name in names], resume=True)

    def test_the_last_stage_may_be_left_out(self, trained, tmp_path):
        config, original, numbers = trained
        stages = load_tiny_stages(config, copy_of(original, tmp_path / 'work'))
        assert run_stages(stages[:2], resume=True) == {name: numbers[name] for name in NAMES[:2]}

    def test_longer_schedule_is_trained_on(self, trained, tmp_path):
        config, original, _ = trained
        work_dir = copy_of(original, tmp_path / 'work')
        stages = load_tiny_stages(config, work_dir)
        stages[2].cfg.train_cfg.max_iters = 6
        run_stages(stages, resume=True)
        assert json.loads((work_dir / 'offline/finished.json').read_text())['iter'] == 6

    def test_subset_and_overwrite(self, trained, tmp_path):
        config, original, numbers = trained
        work_dir = copy_of(original, tmp_path / 'work')
        assert run_stages(load_tiny_stages(config, work_dir), ['offline'], overwrite=True) == numbers
        fresh = load_tiny_stages(config, tmp_path / 'fresh')
        assert list(run_stages(fresh, ['segmenter'])) == ['segmenter']

    def test_weights_that_do_not_fit_the_stage_before_are_refused(self, trained, tmp_path):
        config, original, _ = trained
        work_dir = copy_of(original, tmp_path / 'work')
        stages = load_tiny_stages(config, work_dir, **{'model.width': 3})
        stages[2].cfg.model.width = 2
        with pytest.raises(WeightMismatchError, match=r'backbone.weight: shape \(4, 3\)'):
            run_stages(stages, ['offline'], overwrite=True)
        assert not stages[2].finished()

    def test_a_stage_can_start_from_given_weights(self, trained, tmp_path):
        config, original, _ = trained
        start = {'load_from': str(original / 'segmenter/iter_6.pth'), 'optim_wrapper.optimizer.lr': 0.}
        run_stages(load_tiny_stages(config, tmp_path / 'work', **start), ['online'])
        first, second = weights(original / 'segmenter/iter_6.pth'), weights(tmp_path / 'work/online/iter_5.pth')
        assert_same(first, {name: second[name] for name in first})

    @pytest.mark.parametrize('options, message', [
        ({'default_hooks.checkpoint.type': 'CheckpointHook'}, r"checkpoint = dict\(type='mmvc.AtomicCheckpointHook'"),
        ({'train_cfg.type': 'IterBasedTrainLoop'}, "Use 'mmvc.ResumableTrainLoop'"),
    ])
    def test_what_cannot_resume_exactly_is_refused_before_the_training(self, trained, tmp_path, options, message):
        stages = load_tiny_stages(trained[0], tmp_path / 'work', **options, custom_hooks=[])
        with pytest.raises(UsageError, match=f'stage "segmenter".*{message}'):
            run_stages(stages)
        assert not stages[0].holds_results()

    def test_a_training_that_stops_early_is_saved(self, tmp_path):
        config = write_config(tmp_path, dict(only=('TinyModel', 7)))
        stages = load_tiny_stages(config, tmp_path / 'work')
        stages[0].cfg.custom_hooks = [dict(type='mmengine.EarlyStoppingHook', monitor='tiny/mIoU', rule='greater',
                                           stopping_threshold=0.)]
        stages[0].cfg.default_hooks.checkpoint.interval = 3
        run_stages(stages)
        marker = json.loads((tmp_path / 'work/only/finished.json').read_text())
        assert (marker['iter'], marker['checkpoint']) == (4, 'iter_4.pth')
        assert torch.load(tmp_path / 'work/only/iter_4.pth', weights_only=False)['meta']['iter'] == 4


class TestPlanStages:

    @pytest.fixture
    def stages(self, tmp_path):
        return [Stage(name, Config(dict(train_cfg=dict(max_iters=2))), str(tmp_path / name)) for name in NAMES]

    @staticmethod
    def finish(stage):
        folder = Path(stage.work_dir)
        folder.mkdir()
        torch.save(dict(a=1), folder / 'iter_2.pth')
        stage.mark_finished(str(folder / 'iter_2.pth'), 2, {})

    def test_results_are_never_overwritten_unasked(self, stages):
        self.finish(stages[0])
        with pytest.raises(UsageError, match='(?s)segmenter.*--resume.*--overwrite'):
            plan_stages(stages)
        Path(stages[0].work_dir, 'finished.json').unlink()
        with pytest.raises(UsageError, match='holds results'):  # a checkpoint is a result as well
            plan_stages(stages)
        assert [step.action for step in plan_stages(stages, overwrite=True)] == ['start'] * 3
        assert not stages[0].holds_results()

    @pytest.mark.parametrize('change, message', [
        (dict(optim_wrapper=dict(type='AmpOptimWrapper')), 'needs a GPU.*leave out --amp.*optim_wrapper.type=OptimWr'),
        (dict(train_cfg=dict(type='IterBasedTrainLoop')), "Use 'mmvc.ResumableTrainLoop'"),
    ])
    def test_what_cannot_be_trained_discards_nothing(self, stages, monkeypatch, change, message):
        monkeypatch.setattr('mmvc.engine.stages.get_device', lambda: 'cpu')
        self.finish(stages[0])
        assert [step.action for step in plan_stages(stages[:1], resume=True)] == ['skip']
        stages[0].cfg.merge_from_dict(change)
        with pytest.raises(UsageError, match=f'stage "segmenter".*{message}'):
            plan_stages(stages[:1], overwrite=True)
        assert stages[0].finished()

    def test_stale_later_stages_are_refused(self, stages):
        for stage in stages[:2]:
            self.finish(stage)
        Path(stages[0].work_dir, 'finished.json').unlink()
        with pytest.raises(UsageError, match='--overwrite --stage segmenter online'):
            plan_stages(stages, resume=True)
        with pytest.raises(UsageError, match='--overwrite --stage segmenter online'):
            plan_stages(stages, ['segmenter'], overwrite=True)
        assert stages[1].finished()
        assert stages[1].final_checkpoint() == str(Path(stages[1].work_dir, 'iter_2.pth'))
        with pytest.raises(UsageError, match='stage "segmenter" is not finished'):
            stages[0].final_checkpoint()
        plan_stages(stages, ['segmenter', 'online'], overwrite=True)

    @pytest.mark.parametrize('arguments, message', [
        (dict(selected=['refiner']), 'there is no stage refiner.*segmenter, online, offline'),
        (dict(selected=['online']), '"segmenter", which is not finished.*train it first'),
        (dict(resume=True, overwrite=True), 'exclude'),
    ])
    def test_wrong_arguments(self, stages, arguments, message):
        with pytest.raises(UsageError, match=message):
            plan_stages(stages, **arguments)


    def test_weights_to_start_from_instead_of_a_stage(self, stages, tmp_path):
        stages[1].cfg.load_from = str(tmp_path / 'segmenter.pth')
        message = 'load_from.*segmenter.pth", does not exist: train "segmenter" first, or set load_from'
        with pytest.raises(UsageError, match=message):
            plan_stages(stages, ['online'])
        torch.save(dict(a=1), stages[1].cfg.load_from)
        assert [step.action for step in plan_stages(stages, ['online'])] == ['start']
        stages[1].cfg.load_from = 'checkpoints/dvispp/dvispp_r50_vspw_segmenter.pth'
        remedy = '--cfg-options stages.online.load_from=dvispp_r50_vspw_segmenter downloads them'
        with pytest.raises(UsageError, match=remedy):
            plan_stages(stages, ['online'])
        stages[1].cfg.load_from = 'dvispp_r50_vspw_segmenter'  # downloaded when the stage begins
        assert [step.action for step in plan_stages(stages, ['online'])] == ['start']
        Path(stages[0].work_dir).mkdir()
        torch.save(dict(a=1), Path(stages[0].work_dir, 'iter_1.pth'))  # begun, so it is meant to be finished
        with pytest.raises(UsageError, match='"segmenter", which is not finished in ".*": train it first'):
            plan_stages(stages, ['online'])


def test_summary_shows_the_trivial_answer_as_a_row():
    text = format_summary(dict(a={'vss/mIoU': 50.0, 'vss/VC8': 80.0, 'vss/mIoU_trivial': 3.25}, b={'vss/mIoU': 60.0}))
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
    assert rows == [['stage', 'vss/mIoU', 'vss/VC8'], ['a', '50.00', '80.00'], ['b', '60.00', '-'],
                    ['most frequent class everywhere', '3.25', '-']]
