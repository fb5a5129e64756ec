# Copyright (c) The mmvc contributors. All rights reserved.
"""Which pixel a model's normalisation maps to 0. Masking hides pixels behind it.

mmengine builds datasets without telling them the model, also in the programs of MMDetection and MMSegmentation. So the
models that this process builds are noted here, and transforms ask for the normalisation. Each data preprocessor is
thus the only place that states a mean and an order of channels.
"""

import weakref
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

#: Mean colour of ImageNet, RGB, 0 to 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)


class _BuiltModel(NamedTuple):
    model: weakref.ref
    zero_pixel: tuple[float, ...]


_built: list[_BuiltModel] = []
_watching = False


def watch_models() -> None:
    """Note the normalisation of every model that is built from now on: of modules with a ``data_preprocessor``."""
    global _watching
    if not _watching:
        register_module_module_registration_hook(_note_model)
        _watching = True


def _note_model(model: nn.Module, name: str, submodule: nn.Module | None) -> None:
    # the values are taken now: later they may be on a GPU, where the forked workers of a loader cannot read them
    if name == 'data_preprocessor':
        # nothing of models that are gone, or of one whose data preprocessor is replaced
        _built[:] = [built for built in _built if built.model() not in (None, model)]
        if states_normalisation(submodule):
            _built.append(_BuiltModel(weakref.ref(model), zero_pixel(submodule)))


def states_normalisation(data_preprocessor: nn.Module | None) -> bool:
    """Whether a data preprocessor says if and how it normalises images.

    mmengine's ``BaseDataPreprocessor`` does not, nor one on the meta device, which has no values.
    """
    part = _innermost(data_preprocessor)
    mean = getattr(part, 'mean', None)
    return hasattr(part, '_enable_normalize') and not (isinstance(mean, Tensor) and mean.is_meta)


def zero_pixel(data_preprocessor: nn.Module | None) -> tuple[float, ...]:
    """Return the pixel that a data preprocessor maps to 0.

    Args:
        data_preprocessor (nn.Module): That of a model of mmengine, mmdet, mmseg or this package.

    Returns:
        tuple[float, ...]: Value of each channel of the images that come out of a pipeline, in their order; one value
        if all channels have the same. It is 0 if the data preprocessor does not normalise.
    """
    part = _innermost(data_preprocessor)
    mean = getattr(part, 'mean', None)
    if not isinstance(mean, Tensor):
        return (0., )
    values = tuple(mean.flatten().tolist())
    # MMSegmentation 1.2 has no underscore
    swaps = getattr(part, '_channel_conversion', False) or getattr(part, 'channel_conversion', False)
    return values[::-1] if swaps else values


def hidden_color(data_preprocessor: nn.Module | None) -> tuple[float, ...]:
    """Return the zero pixel as a colour (R, G, B), of images that are loaded as BGR: that of hidden pixels."""
    pixel = zero_pixel(data_preprocessor)
    return pixel * 3 if len(pixel) == 1 else pixel[::-1]


def zero_pixel_of_models() -> tuple[float, ...] | None:
    """Return the pixel that the newest model of this process maps to 0, see :func:`zero_pixel`.

    Models inside of others do not count, nor models that are no longer in use.

    Returns:
        tuple[float, ...] | None: The pixel; None if there is no model.
    """
    models = [(model, built.zero_pixel) for built in _built if (model := built.model()) is not None]
    inner = {id(part) for model, _ in models for part in model.modules() if part is not model}
    return next((pixel for model, pixel in reversed(models) if id(model) not in inner), None)


def same_pixel(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two pixels differ by half a grey level at most; a single value stands for all channels."""
    length = max(len(one), len(other))
    pairs = zip(*(tuple(pixel) * (length if len(pixel) == 1 else 1) for pixel in (one, other)))
    return all(abs(a - b) <= 0.5 for a, b in pairs)


def _innermost(data_preprocessor: nn.Module | None) -> nn.Module | None:
    """Unwrap a data preprocessor that applies another one, such as ``mmdet.MultiBranchDataPreprocessor``."""
    while isinstance(inner := getattr(data_preprocessor, 'data_preprocessor', None), nn.Module):
        data_preprocessor = inner
    return data_preprocessor


watch_models()
