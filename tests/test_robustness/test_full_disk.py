# Copyright (c) The mmvc contributors. All rights reserved.
"""The kernel refuses to write, as it does on a full disk."""

import re
from contextlib import contextmanager

import pytest
import torch

from mmvc.engine.checkpoints import is_intact_checkpoint
from mmvc.utils.atomic import atomic_write
from tests.helpers.stopped_tool import Stopped
from tests.helpers.tiny_training import write_config, write_videos

resource = pytest.importorskip('resource')  # POSIX only


@contextmanager
def largest_file(size):
    """Refuse to write files of more bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('sync', [True, False])
def test_the_old_file_stays_and_the_error_names_it(tmp_path, sync):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with largest_file(1000), pytest.raises(OSError, match=re.escape(str(path))):
        atomic_write(path, b'new' * 1000, sync)
    assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]


def test_earlier_checkpoints_stay_and_the_training_goes_on_from_them(run, tmp_path):
    root = write_videos(tmp_path / 'videos')
    work_dir = tmp_path / 'work'
    train = ['train', write_config(tmp_path), '--data-root', root, '--work-dir', work_dir, '--cfg-options',
             'model.ballast=300000']
    run(*train, 'train_cfg.max_iters=2')
    with largest_file(500_000), pytest.raises(Stopped) as caught:
        run(*train[:-2], '--resume', *train[-2:])
    message = str(caught.value)
    assert f'{work_dir}/iter_4.pth' in message and '--resume' in message and '\n' not in message
    assert [path.name for path in work_dir.glob('iter_*')] == ['iter_2.pth']
    assert is_intact_checkpoint(work_dir / 'iter_2.pth')
    assert (work_dir / 'last_checkpoint').read_text().endswith('iter_2.pth')
    run(*train[:-2], '--resume', *train[-2:])
    assert torch.load(work_dir / 'iter_6.pth', weights_only=False)['meta']['iter'] == 6
