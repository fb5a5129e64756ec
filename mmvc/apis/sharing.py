# Copyright (c) The mmvc contributors. All rights reserved.
"""The content of a file of weights that runs alone: weights, config, classes and colours."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from torch import Tensor, nn

from mmvc import __version__
from mmvc.engine import weight_mismatches
from mmvc.models import BaseVideoSegmentor
from mmvc.models.losses import ClassMemory
from mmvc.utils.checkpoint_loading import plain_name
from mmvc.utils.errors import UsageError, named

from .loading import dataset_meta
from .portable_config import portable_config, public_meta


class SharedMeta(NamedTuple):
    """What :func:`shared_meta` returns.

    Args:
        meta (dict): Entries for the metadata of the file: ``mmvc_version``, ``dataset_meta`` and ``cfg``.
        left_out (list[str]): What was left out of the config, because it is private or of no use to others.
        obstacle (str, optional): Why the file needs a config beside it. Defaults to None: it runs alone.
    """
    meta: dict[str, Any]
    left_out: list[str]
    obstacle: str | None = None


def shared_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the weights to share.

    Args:
        model (nn.Module): Model that they belong to.
        weights (Mapping): Weights by name.

    Returns:
        dict[str, Tensor]: Contiguous tensors on the CPU that share no memory, without the class memory of a loss.

    Raises:
        UsageError: The weights do not fit the model, or one of them is NaN or infinite.
    """
    weights = {plain_name(name): value for name, value in weights.items()}
    memories = tuple(f'{name}.' for name, module in model.named_modules() if isinstance(module, ClassMemory))
    weights = {name: value.cpu().contiguous() for name, value in weights.items() if not name.startswith(memories)}
    problems = weight_mismatches(model, weights)
    problems += [f'{name}: NaN or infinite' for name, value in weights.items() if not value.isfinite().all()]
    if problems:
        raise UsageError(f'{len(problems)} weights are not those of a trained model of the config:\n  ' +
                         '\n  '.join(problems))
    seen: set[int] = set()  # of memory: safetensors stores no tensor twice
    for name, value in weights.items():
        start = value.untyped_storage().data_ptr()
        if start in seen:
            weights[name] = value.clone()
        seen.add(start)
    return weights


def halved_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store weights in half precision, which halves the file. Loading them into a model restores its precision.

    Vectors stay as they are, so biases and batch norm: they take hardly any space, and variances may be too small for
    float16.

    Args:
        weights (Mapping): Finite weights by name.

    Returns:
        dict[str, Tensor]: The same names; tensors of at least two dimensions are float16.

    Raises:
        UsageError: A value is too large for float16.
    """
    halved = {name: value.half() if value.is_floating_point() and value.ndim > 1 else value
              for name, value in weights.items()}
    too_large = [name for name, value in halved.items() if not value.isfinite().all()]
    if too_large:
        raise UsageError(f'{named(too_large)}: too large for half precision (float16): publish without --half')
    return halved


def shared_meta(cfg: Config, checkpoint: dict, model: nn.Module) -> SharedMeta:
    """Describe a model in plain data, so that its weights run without another file.

    Args:
        cfg (Config): Config of the model, without stages; only its public part is stored, see
            :func:`portable_config`.
        checkpoint (dict): Checkpoint of the weights, whose classes and colours are preferred to those of the config.
        model (nn.Module): The model.

    Returns:
        SharedMeta: The metadata. If no inferencer can run it (the model segments no videos, its classes are not known,
        or the config has no test pipeline), it is without ``cfg``, and ``obstacle`` says why.
    """
    given = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    meta: dict[str, Any] = dict(mmvc_version=__version__)
    if given:
        meta['dataset_meta'] = public_meta(given)
    if not isinstance(model, BaseVideoSegmentor):
        return SharedMeta(meta, [], f'a {type(model).__name__} does not segment videos')
    try:
        config = portable_config(cfg)
        found = dataset_meta(cfg, checkpoint, model.num_classes, 'the config')
    except UsageError as error:
        return SharedMeta(meta, [], str(error))
    plain = dict(classes=list(found['classes']), palette=[list(map(int, color)) for color in found['palette']])
    meta['dataset_meta'] = dict(meta.get('dataset_meta', {}), **plain)
    meta['cfg'] = config.text
    return SharedMeta(meta, config.left_out)
