# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import mmengine
import mmengine.runner
import pytest
import torch
import yapf.yapflib.yapf_api
from mmengine.logging import MessageHub, MMLogger

import mmvc  # noqa: F401  before any test module imports mmdet
from mmvc.utils import normalisation
from mmvc.visualization import VideoSegLocalVisualizer

if TYPE_CHECKING:
    from tests.helpers.tiny_graphs import Exported

# The tensors are small: threads cost more than they save, and one thread gives the same results on every machine.
os.environ.setdefault('OMP_NUM_THREADS', '1')  # also for the processes that tests start
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
cv2.setNumThreads(0)
# mmengine formats the config for its log and asks compilers for their versions. Both take longer than a tiny training.
yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)
mmengine.runner.runner.collect_env = dict


# Tools change them when they are imported, and most tests run tools in this process.
_HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


def _reset_signals() -> None:
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def data_dir() -> Path:
    """The folder of reference data."""
    return Path(__file__).parent / 'data'


@pytest.fixture(scope='session')
def exported(tmp_path_factory: pytest.TempPathFactory) -> 'Exported':
    """A tiny model and its graph for frames of any size. Tests do not change them."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    from tests.helpers.tiny_graphs import export_by_command
    return export_by_command(tmp_path_factory.mktemp('graph'))


@pytest.fixture(scope='session')
def forget_runs() -> Callable[[], None]:
    """Clear mmengine's named singletons: runs that start within one second would share them and their folder."""

    def forget() -> None:
        for kind in (VideoSegLocalVisualizer, MessageHub, MMLogger):
            kind._instance_dict.clear()
        for logger in list(logging.Logger.manager.loggerDict):
            if logger.startswith('mmengine'):
                logging.getLogger(logger).handlers.clear()

    return forget


@pytest.fixture(autouse=True)
def process_state(forget_runs):
    """Reset what a tool or mmengine sets for the whole process, so that no test sees it in the next one."""
    torch.manual_seed(0)
    forget_runs()
    normalisation._built.clear()  # models of other tests
    _reset_signals()  # also what a test module or a fixture of the session imported
    mmengine.DefaultScope._instance_dict.clear()
    environment, path = dict(os.environ), list(sys.path)
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    _reset_signals()
    mmengine.DefaultScope._instance_dict.clear()
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(autouse=True)
def only_temporary_folders_are_deleted(monkeypatch):
    """Refuse to delete folders that are not temporary: a bug that a test finds must not cost the machine its files."""
    real, temporary = shutil.rmtree, [Path(folder).resolve() for folder in (tempfile.gettempdir(), '/dev/shm')]

    def rmtree(path, *args, **kwargs):
        target = Path(os.fsdecode(path)).resolve()
        if not any(folder in target.parents for folder in temporary):
            raise AssertionError(f'a test was about to delete "{target}", which is not in a temporary folder')
        return real(path, *args, **kwargs)

    rmtree.avoids_symlink_attacks = real.avoids_symlink_attacks
    monkeypatch.setattr(shutil, 'rmtree', rmtree)


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=pytest.mark.cuda)])
def device(request, monkeypatch) -> str:
    """Each device in turn; CUDA only where there is one (`pytest -m cuda`)."""
    if request.param == 'cuda':
        if not torch.cuda.is_available():
            pytest.skip('no CUDA device')
        # newer GPUs round the factors of convolutions to 10 bits by default, more than tests tolerate
        monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
        monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)
    return request.param
