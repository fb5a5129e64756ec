# Copyright (c) The mmvc contributors. All rights reserved.
"""A model whose output is NaN predicts nothing: it is said, with the name of the video."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mmvc.utils.errors import NonFiniteError


def require_no_nan(**outputs: Tensor | None) -> None:
    """Raise an error if the output of a model has NaN.

    Args:
        **outputs (Tensor, optional): Output by name, of any shape.

    Raises:
        NonFiniteError: A value is NaN.
    """
    for name, output in outputs.items():
        if output is None or not output.is_floating_point() or output.numel() == 0:
            continue
        # a sum takes a fraction of the time of isnan(), and is finite if all is well
        if not bool(output.sum(dtype=torch.float32).isfinite()) and bool(output.isnan().any()):
            raise NonFiniteError(f'the model predicts NaN ({name}): its weights are damaged or diverged in training, '
                                 'or numbers overflow in half precision. Check the checkpoint, or predict without AMP')


@contextmanager
def naming_video(name: str) -> Iterator[None]:
    """Put the name of a video before the message of a :class:`NonFiniteError` that leaves the block."""
    try:
        yield
    except NonFiniteError as error:
        raise NonFiniteError(f'video "{name}": {error}') from error
