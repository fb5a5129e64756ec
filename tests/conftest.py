# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import mmengine
import mmengine.runner
import pytest
import torch
import yapf.yapflib.yapf_api
from mmengine.logging import MessageHub, MMLogger

import mmvc  # noqa: F401  before any test module imports mmdet
from mmvc.visualization import VideoSegLocalVisualizer

# small tensors: threads cost more than they bring, and results do not depend on the machine's number of cores
torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 1)))
cv2.setNumThreads(0)
# laying out a config for the log, and asking compilers for their versions, take longer than a toy training
yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)
mmengine.runner.runner.collect_env = dict


@pytest.fixture
def data_dir() -> Path:
    """The folder of small files that tests compare with."""
    return Path(__file__).parent / 'data'


@pytest.fixture(scope='session')
def forget_runs() -> Callable[[], None]:
    """Forget what mmengine keeps by name from earlier runs: those of one second share it, and write to one folder."""

    def forget() -> None:
        for kind in (VideoSegLocalVisualizer, MessageHub, MMLogger):
            kind._instance_dict.clear()
        for logger in list(logging.Logger.manager.loggerDict):
            if logger.startswith('mmengine'):
                logging.getLogger(logger).handlers.clear()

    return forget


@pytest.fixture(autouse=True)
def process_state(forget_runs):
    """Leave nothing to the next test of what a tool that runs in this process, or mmengine, sets for all of it."""
    torch.manual_seed(0)
    forget_runs()
    mmengine.DefaultScope._instance_dict.clear()
    environment, path = dict(os.environ), list(sys.path)
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    mmengine.DefaultScope._instance_dict.clear()
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(params=['cpu', 'cuda'])
def device(request) -> str:
    """Each device in turn; CUDA only where there is one."""
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    return request.param
