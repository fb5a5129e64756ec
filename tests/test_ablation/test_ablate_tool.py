# Copyright (c) The mmvc contributors. All rights reserved.
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmvc.ablation import AblationRunner
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder
from tests.helpers.child_environment import child_environment
from tests.helpers.tiny_plan import PLAN, write_plan

TOOL = Path(__file__).parents[2] / 'tools/ablate.py'


@pytest.fixture(scope='module')
def trained(tmp_path_factory, forget_runs):
    """Two variants with two seeds, trained in this process, and the runner."""
    folder = tmp_path_factory.mktemp('ablation')
    runner = AblationRunner(write_plan(folder), str(folder / 'work'), variants=['late', 'tested'])
    for number in range(len(runner.trainings)):
        forget_runs()
        runner.run_only(number)
    runner.report()
    return folder, runner, json.loads((folder / 'work/plan/results.json').read_text())


def test_every_training_ran_once_from_the_right_weights(trained):
    folder, runner, results = trained
    assert len(runner.trainings) == 2 * 4 and all(entry['done'] for entry in results['trainings'].values())
    assert len(list((folder / 'work/trainings').iterdir())) == 8
    for key, entry in results['trainings'].items():
        logs = [path.read_text() for path in (folder / 'work/trainings' / key / entry['stage']).glob('*/*.log')]
        assert len(logs) == 1
        if entry['starts_from']:
            assert entry['starts_from'] in logs[0]
        assert entry['cost']['wall_seconds'] > 0


def test_numbers_are_gathered(trained):
    _, _, results = trained
    assert len(results['runs']) == 6  # with the baseline
    values = {(run['variant'], run['seed']): run['values'] for run in results['runs']}
    base, late = ([values[name, seed]['mIoU'] for seed in (0, 1)] for name in ('base', 'late'))
    assert values['base', 0]['mIoU'] != values['base', 1]['mIoU']
    entry = results['summary']['late']['mIoU']
    assert entry['n'] == 2 and entry['mean'] == pytest.approx(sum(late) / 2)
    assert entry['difference']['mean'] == pytest.approx(sum(late) / 2 - sum(base) / 2)
    assert entry['difference']['low'] < entry['difference']['mean'] < entry['difference']['high']
    # shared weights: no difference at all
    assert results['summary']['late']['mIoU online']['difference']['mean'] == 0
    # its numbers have another name in testing, so they are missing
    assert results['summary']['tested']['mIoU'] == dict(mean=None, std=None, n=0, difference=dict(
        mean=None, low=None, high=None, p=None, n=0, p_adjusted=None))
    run = results['runs'][0]
    clean, hard = (run['numbers']['offline'][name]['tiny/mIoU'] for name in ('clean', 'hard'))
    assert run['values']['loss'] == pytest.approx(hard - clean)


def test_tables_and_picture(trained):
    folder, _, results = trained
    text = (folder / 'work/plan/results.md').read_text()
    assert f'| base | {results["summary"]["base"]["mIoU"]["mean"]:.2f} ± ' in text
    assert '| tested | - | ' in text and '| late |' in text
    assert (folder / 'work/plan/results.png').read_bytes().startswith(b'\x89PNG')


def test_what_is_done_is_skipped_and_what_is_missing_is_made_up(trained, capsys, monkeypatch):
    folder, runner, _ = trained
    training = runner.trainings[-1]
    monkeypatch.setattr('mmvc.ablation.job.run_stages', lambda *args, **kwargs: pytest.fail('trained again'))
    for number in range(len(runner.trainings)):
        runner.run_only(number)
    assert capsys.readouterr().out.count('is done') == 8
    missing = folder / 'work/trainings' / training.key / f'{next(iter(training.evaluations))}.json'
    before = missing.read_text()
    missing.unlink()
    assert 'trained, not tested' in runner.listing() and '; 7 trainings are done' in runner.listing()
    runner.run_only(len(runner.trainings) - 1)
    # the tests of the tiny model draw their noise with the seed of the test, not that of the training
    assert json.loads(missing.read_text()).keys() == json.loads(before).keys()
    assert '; 8 trainings are done' in runner.listing()


def test_order_and_number_are_checked(tmp_path):
    runner = AblationRunner(write_plan(tmp_path), str(tmp_path / 'work'))
    with pytest.raises(UsageError, match='there are trainings 0 to 11'):
        runner.run_only(12)
    with pytest.raises(UsageError, match='starts from "online-s1-.*", which is not finished'):
        runner.run_only(11)
    assert '8 runs (4 variants x 2 seeds): 12 trainings of 56 iterations (24 of 120 without sharing)' \
        in runner.listing()


def test_a_training_that_is_in_use_is_named_and_not_started(tmp_path, monkeypatch, capsys):
    """What a killed run has left behind may live on for a while, for example on a disk that does not answer."""
    runner = AblationRunner(write_plan(tmp_path), str(tmp_path / 'work'), variants=['late'], seeds=[0])
    held, *others = runner.trainings
    started = []
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        with hold_folder(runner.store.folder(held)):
            os.write(writer, b'.')
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    monkeypatch.setattr('mmvc.ablation.runner.PATIENCE', 0.1)
    monkeypatch.setattr(runner, '_start', lambda number, *_: started.append(number))
    try:
        assert runner.run_all(['ablate.py'], gpus=0) == 1
        assert f'in use by process {process}' in runner.listing()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    text = capsys.readouterr().out
    assert started == [] and 'failed:' not in text
    assert f'not run: {held.key} is still in use by process {process}' in text
    assert f'{held.key}: in use by process {process}' in text
    assert all(other.key in text.rpartition('not run, because')[2] for other in others)


def test_slurm_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = AblationRunner(write_plan(tmp_path), 'work')
    argv = ['tools/ablate.py', 'plan.py', '--gpus', '8', '--slurm-script', 'a.sh', '--seeds', '0', '1']
    runner.write_slurm_script('a.sh', argv, 8)
    text = Path('a.sh').read_text()
    assert '--slurm-script' not in text and '--gpus' not in text
    for array in ('--array=0-1 ', '--array=2-5 ', '--array=6-11 '):
        assert array in text
    # a sbatch that prints what it got
    (tmp_path / 'sbatch').write_text('#!/bin/sh\nfor a in "$@"; do echo "<$a>"; done >> calls\necho 42\n')
    (tmp_path / 'sbatch').chmod(0o755)
    subprocess.run(['bash', 'a.sh', '--partition', 'gpu'], check=True,
                   env=dict(os.environ, PATH=f'{tmp_path}:{os.environ["PATH"]}'))
    calls = Path('calls').read_text()
    assert calls.count('<afterany:42>') == 3 and calls.count('<gpu>') == 4
    assert '--seeds 0 1 --only $SLURM_ARRAY_TASK_ID --launcher slurm>' in calls and '--report-only>' in calls


@pytest.mark.slow
@pytest.mark.skipif('MMVC_TEST_PARTITION' not in os.environ, reason='names no partition of a Slurm cluster')
def test_job_arrays_on_a_cluster(tmp_path):
    """Each training by two processes; cores are asked for once, and are the tasks' too."""
    arguments = [sys.executable, str(TOOL), write_plan(tmp_path), '--work-dir', 'work', '--variants', 'late',
                 '--gpus', '2', '--slurm-script', 'submit.sh']
    submit = ['bash', 'submit.sh', '--partition', os.environ['MMVC_TEST_PARTITION'], '--cpus-per-task', '1', '--wait']
    environment = child_environment(OMP_NUM_THREADS='1')
    for command in (arguments, submit):
        subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    trainings = json.loads((tmp_path / 'work/plan/results.json').read_text())['trainings']
    assert len(trainings) == 8 and all(entry['done'] for entry in trainings.values())
    logs = [path.read_text() for path in (tmp_path / 'work/plan/slurm').glob('*_*.txt')]
    assert len(logs) == 8 and all('GPU number: 2' in log for log in logs)


@pytest.mark.slow
def test_tool_side_by_side_with_a_failure(tmp_path):
    """Two variants that train and one that cannot, two seeds, two processes at a time."""
    text = PLAN.replace("dict(name='tested'", "dict(name='broken', overrides=dict(online={'model.width': 5})),\n"
                        "    dict(name='tested'")
    arguments = [sys.executable, str(TOOL), write_plan(tmp_path, text), '--work-dir', str(tmp_path / 'work'),
                 '--jobs', '2', '--threads', '1', '--variants', 'late', 'broken', '--gpus', '0']
    environment = child_environment()
    done = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count('failed: online-s') == 2 and 'log.txt' in done.stdout
    results = json.loads((tmp_path / 'work/plan/results.json').read_text())
    assert results['summary']['late']['mIoU']['n'] == results['summary']['base']['mIoU']['n'] == 2
    assert results['summary']['broken']['mIoU']['n'] == 0
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / 'work/trainings').glob('*/*/*.pth')}
    again = subprocess.run(arguments[:-4] + ['late', '--gpus', '0'], env=environment, cwd=tmp_path,
                           capture_output=True, text=True)
    assert again.returncode == 0 and '8 trainings, 8 done' in again.stdout
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / 'work/trainings').glob('*/*/*.pth')}
