# Copyright (c) The mmvc contributors. All rights reserved.
import os
from pathlib import Path

import cv2
import mmengine
import pytest
import torch

import mmvc  # noqa: F401  before any test module imports mmdet

# small tensors: threads cost more than they bring, and results do not depend on the machine's number of cores
torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 1)))
cv2.setNumThreads(0)


@pytest.fixture
def data_dir() -> Path:
    """The folder of small files that tests compare with."""
    return Path(__file__).parent / 'data'


@pytest.fixture(autouse=True)
def _default_scope():
    """Leave no default scope or seed of one test to the next."""
    torch.manual_seed(0)
    mmengine.DefaultScope._instance_dict.clear()
    yield
    mmengine.DefaultScope._instance_dict.clear()


@pytest.fixture(params=['cpu', 'cuda'])
def device(request) -> str:
    """Each device in turn; CUDA only where there is one."""
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    return request.param
