# Copyright (c) The mmvc contributors. All rights reserved.
"""A cache of weights in the memory layout that a kernel computes with."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

_PACKED = WeakTensorKeyDictionary()  # parameter -> (its version when it was packed, the packed weight)


def packed(weight: Tensor, pack: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a layer's weight in the layout of its kernel, packed once instead of in every call.

    Args:
        weight (Tensor): Weight of a layer. Tensors that are not parameters are returned unchanged, since they may
            differ from call to call.
        pack (Callable): Makes the packed weight.

    Returns:
        Tensor: The packed weight. It is kept as long as the parameter lives, and packed again when the parameter
        changes.
    """
    if not isinstance(weight, nn.Parameter) or weight.is_inference():
        return weight
    version = _version_of(weight)
    kept: Any = _PACKED.get(weight)
    if kept is None or kept[0] != version:
        kept = _PACKED[weight] = (version, pack(weight.detach()))
    return kept[1]


def _version_of(weight: Tensor) -> tuple[int, int, list[float]]:
    """Detect changes: by the version, and by a few values, since ``weight.data.copy_()`` keeps the version."""
    first = weight.detach().select(-1, 0)
    while first.ndim > 1:
        first = first.select(-1, 0)
    return weight._version, weight.data_ptr(), first[::max(1, len(first) // 8)].tolist()
