# Copyright (c) The mmvc contributors. All rights reserved.
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from mmvc.utils.folder_lock import hold_folder
from tests.helpers.child_environment import child_environment
from tests.helpers.tiny_vss import write_config, write_videos

REPO = Path(__file__).parents[2]


def error_of(run, *arguments) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    return str(caught.value.code)


@pytest.fixture
def paths(tmp_path):
    return write_config(tmp_path / 'tiny.py'), write_videos(tmp_path / 'videos'), tmp_path / 'work'


def test_train_resume_test(run, paths, tmp_path):
    config, data_root, work_dir = paths
    run('train', config, '--data-root', data_root, '--work-dir', work_dir, '--cfg-options', 'train_cfg.max_iters=2')
    assert sorted(path.name for path in work_dir.glob('*.pth')) == ['iter_2.pth']
    run('train', config, '--work-dir', work_dir, '--resume', '--cfg-options', f'data_root={data_root}')
    assert torch.load(work_dir / 'iter_4.pth', weights_only=False)['meta']['iter'] == 4
    checkpoint = work_dir / 'iter_4.pth'
    os.truncate(checkpoint, 1000)
    assert 'iter_4.pth" is truncated' in error_of(run, 'test', config, checkpoint)
    run('train', config, '--data-root', data_root, '--work-dir', work_dir, '--resume')  # goes on from iter_2.pth
    run('test', config, checkpoint, '--data-root', data_root, '--work-dir', work_dir, '--show-dir', tmp_path / 'show',
        '--show-fps', 5, '--out', tmp_path / 'numbers.json')
    numbers = json.loads((tmp_path / 'numbers.json').read_text())
    assert numbers['vss/mIoU'] == pytest.approx(100)
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['left', 'left.mp4', 'right', 'right.mp4']
    assert cv2.VideoCapture(str(tmp_path / 'show/left.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 4


@pytest.mark.parametrize('verbose', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_printed(run, paths, capsys, verbose):
    """The log file has the config, the hooks and the environment; the terminal only with --verbose."""
    config, data_root, work_dir = paths
    both = Path(config).with_name('both.py')
    both.write_text("_base_ = './tiny.py'\nstages = dict(one=dict(), two=dict())")
    run('train', both, '--data-root', data_root, '--work-dir', work_dir, *(['--verbose'] if verbose else []))
    printed = capsys.readouterr()
    looked_up = ('Config:', 'Hooks will be executed', 'System environment:', 'Loads checkpoint by')
    for log in work_dir.glob('*/*/*.log'):
        assert all(text in log.read_text() for text in looked_up[:3])
    assert [text in printed.out for text in looked_up] == [verbose] * 4
    assert 'Stage "two": 4 iters; log file and curves are in' in printed.out
    if not verbose:
        assert len(printed.out.splitlines()) < 80
        assert 'WARNING' not in printed.out and 'Warning' not in printed.err


def test_a_device_that_is_not_there(run, paths):
    config, data_root, work_dir = paths
    message = error_of(run, 'train', config, '--data-root', data_root, '--work-dir', work_dir, '--device', 'cuda:99')
    assert 'device "cuda:99" cannot be used' in message and '\n' not in message


def test_losses_and_numbers_reach_the_visual_backends(run, paths):
    config, data_root, work_dir = paths
    pytest.importorskip('tensorboard')
    write_config(Path(config), more_backends="dict(type='TensorboardVisBackend')")
    run('train', config, '--data-root', data_root, '--work-dir', work_dir, '--cfg-options',
        'default_hooks.logger.interval=1', 'default_hooks.logger.type=LoggerHook')
    assert list(work_dir.glob('*/vis_data/events.*'))


def test_losses_and_numbers_are_logged(run, paths):
    config, data_root, work_dir = paths
    run('train', config, '--data-root', data_root, '--work-dir', work_dir, '--cfg-options',
        'default_hooks.logger.interval=1', 'default_hooks.logger.type=LoggerHook')
    log = [json.loads(line) for path in work_dir.glob('*/vis_data/scalars.json')
           for line in path.read_text().splitlines()]
    assert [entry['step'] for entry in log if 'loss' in entry] == [1, 2, 3, 4]
    assert any('vss/mIoU' in entry for entry in log)


def test_checkpoints_that_do_not_fit_are_refused(run, paths, tmp_path):
    config, data_root, work_dir = paths
    weights = {'cls_embed.weight': torch.zeros(3, 1), 'cls_embed.bias': torch.zeros(3), 'unused.weight':
               torch.zeros(1, 1)}
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    message = error_of(run, 'test', config, tmp_path / 'other.pth', '--data-root', data_root, '--work-dir', work_dir)
    assert 'cls_embed.weight: shape (3, 1) in the checkpoint, (2, 1) in the model' in message
    assert 'unused.bias: not in the checkpoint' in message


@pytest.mark.parametrize('arguments, message', [
    (('train', 'missing.py'), 'error: config "missing.py" does not exist'),
    (('test', 'missing.py', 'a.pth'), 'error: config "missing.py" does not exist'),
    (('test', '{config}', 'missing.pth'), 'error: checkpoint "missing.pth" does not exist'),
    (('train', '{config}', '--stages', 'a'), 'has no stages'),  # the spelling of mmvc 0.1
    (('test', '{config}', 'a.pth', '--stage', 'a'), 'has no stages'),
    (('train', '{config}', '--overwrite'), 'has no stages'),
    (('train', '{config}', '--auto-scale-lr'), 'base_batch_size'),
])
def test_wrong_arguments_end_in_one_line(run, paths, arguments, message):
    error = error_of(run, *(argument.format(config=paths[0]) for argument in arguments))
    assert message in error and '\n' not in error


def test_a_launcher_without_its_variables(run, paths, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    assert 'tools/dist_train.sh' in error_of(run, 'train', paths[0], '--launcher', 'pytorch')


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_help_has_examples(run, capsys, tool):
    assert error_of(run, tool, '--help') == '0'
    assert 'examples:' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='needs two GPUs where there are GPUs')
def test_two_processes(run, paths, tmp_path):
    """Train two stages and test, each on two processes over gloo."""
    config, data_root, work_dir = paths
    both = tmp_path / 'both.py'
    both.write_text("_base_ = './tiny.py'\nstages = dict(one=dict(), two=dict())")
    environment = child_environment(PYTHON=sys.executable, OMP_NUM_THREADS='1')

    def script(name, *arguments):
        return subprocess.run(['bash', str(REPO / f'tools/{name}.sh'), *map(str, arguments), '--data-root', data_root],
                              env=environment, capture_output=True, text=True, timeout=300)

    done = script('dist_train', both, 2, '--work-dir', work_dir)
    assert done.returncode == 0, done.stderr
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert [summary[name]['metrics']['vss/mIoU'] for name in ('one', 'two')] == [pytest.approx(100)] * 2
    done = script('dist_train', both, 2, '--work-dir', work_dir)  # every rank learns of rank 0's refusal
    assert done.returncode != 0 and done.stderr.count('error: ') == 1 and '--overwrite' in done.stderr
    done = script('dist_test', config, work_dir / 'two/iter_4.pth', 2, '--work-dir', work_dir, '--out',
                  tmp_path / 'numbers.json', '--show-dir', tmp_path / 'show')
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / 'numbers.json').read_text())['vss/mIoU'] == pytest.approx(100)
    assert len(list((tmp_path / 'show').glob('*.mp4'))) == 2  # one from each process


def test_a_second_training_in_one_work_dir_is_refused(run, paths, monkeypatch):
    config, data_root, work_dir = paths
    monkeypatch.setattr('mmvc.utils.folder_lock.PATIENCE', 0.)
    with hold_folder(work_dir):
        message = error_of(run, 'train', config, '--data-root', data_root, '--work-dir', work_dir)
    assert f'"{work_dir}" is in use by process {os.getpid()} on' in message and not list(work_dir.glob('*.pth'))


def test_missing_frames_and_masks_are_errors_before_the_first_step(run, paths, tmp_path):
    config, data_root, work_dir = paths
    left = Path(data_root, 'data/left')
    (left / 'origin/002.png').rename(left / 'origin/002.PNG')  # an ending in capitals is the same
    run('train', config, '--data-root', data_root, '--work-dir', work_dir, '--cfg-options', 'train_cfg.max_iters=2')
    Path(left, 'mask/001.png').unlink()
    message = error_of(run, 'train', config, '--data-root', data_root, '--work-dir', tmp_path / 'again')
    assert 'left/origin/001.png" of video "left" has no ground truth' in message
    assert not list((tmp_path / 'again').glob('*.pth'))
    Path(left, 'origin/003.png').unlink()
    for arguments in (('train', config), ('test', config, work_dir / 'iter_2.pth')):
        message = error_of(run, *arguments, '--data-root', data_root, '--work-dir', tmp_path / 'again')
        assert 'video "left": 1 masks have no frame in' in message and ': 003.' in message
