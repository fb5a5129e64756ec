# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable

import pytest
from mmengine.logging import MessageHub


@pytest.fixture
def set_iteration() -> Callable[[int, int], None]:
    """Tell models where the training stands, as the runner does: iteration and number of iterations."""
    hub = MessageHub.get_current_instance()

    def update(iteration: int, max_iters: int) -> None:
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', max_iters)

    yield update
    for name in ('iter', 'max_iters'):
        hub.runtime_info.pop(name, None)
