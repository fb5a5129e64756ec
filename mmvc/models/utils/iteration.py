# Copyright (c) The mmvc contributors. All rights reserved.
from mmengine.logging import MessageHub


def current_iteration() -> tuple[int, int] | None:
    """Iteration of the running training, counted from 0, and its number of iterations. None outside of a training."""
    hub = MessageHub.get_current_instance()
    iteration, max_iters = hub.get_info('iter'), hub.get_info('max_iters')
    return None if iteration is None or max_iters is None else (iteration, max_iters)
