# Copyright (c) The mmvc contributors. All rights reserved.
import json
import subprocess
import sys

import pytest
import torch

from mmvc.engine import run_stages
from tests.helpers.child_environment import child_environment
from tests.helpers.tiny_stages import load_tiny_stages, write_config


@pytest.mark.slow
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_killed_again_and_again_it_ends_as_if_nothing_had_been(tmp_path, seed):
    """SIGKILL in steps, validations and writes, and between stages; the weights end the same bit for bit."""
    config = write_config(tmp_path)
    run_stages(load_tiny_stages(config, tmp_path / 'whole'))
    environment = child_environment(OMP_NUM_THREADS='1')
    command = [sys.executable, '-m', 'tests.helpers.kill_driver', config, str(tmp_path / 'killed'), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 2
    whole, killed = (json.loads((tmp_path / run / 'summary.json').read_text()) for run in ('whole', 'killed'))
    assert killed == whole
    for stage in whole.values():
        one, other = (torch.load(tmp_path / run / stage['checkpoint'], weights_only=False)['state_dict']
                      for run in ('whole', 'killed'))
        assert all(torch.equal(one[name], other[name]) for name in one)
