# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

_PACKED = WeakTensorKeyDictionary()  # parameter -> (its state when it was packed, the packed weight)


def packed(weight: Tensor, pack: Callable[[Tensor], Tensor]) -> Tensor:
    """A layer's weight in the layout that its kernel computes with, made once instead of in every call.

    Args:
        weight (Tensor): Weight of a layer. What is no parameter, and so may be another tensor in the next call, comes
            back as it is.
        pack (Callable): Makes the packed weight.

    Returns:
        Tensor: The packed weight, kept as long as the parameter lives, and made anew when the parameter has changed.
    """
    if not isinstance(weight, nn.Parameter) or weight.is_inference():
        return weight
    state = _state(weight)
    kept: Any = _PACKED.get(weight)
    if kept is None or kept[0] != state:
        kept = _PACKED[weight] = (state, pack(weight.detach()))
    return kept[1]


def _state(weight: Tensor) -> tuple[int, int, list[float]]:
    """What tells a change: the version, and a few values, since the version does not count ``weight.data.copy_()``."""
    first = weight.detach().select(-1, 0)
    while first.ndim > 1:
        first = first.select(-1, 0)
    return weight._version, weight.data_ptr(), first[::max(1, len(first) // 8)].tolist()
