# Copyright (c) The mmvc contributors. All rights reserved.
from functools import partial

import pytest
import torch


@pytest.fixture
def on_meta(monkeypatch):
    """Build full-size models without memory."""
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))  # drop path needs values
    with torch.device('meta'):
        yield
