# Copyright (c) The mmvc contributors. All rights reserved.
"""The optional packages of exports, which are imported when they are needed."""

import importlib
from typing import Any

from mmvc.utils.errors import UsageError


def require_package(name: str, purpose: str) -> Any:
    """Import an optional package.

    Args:
        name (str): Name of a module, such as ``'onnxruntime.quantization'``.
        purpose (str): What it is needed for, as the end of a sentence.

    Returns:
        module: The module.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split('.')[0]
        raise UsageError(f'{purpose} needs the package {package}, which cannot be imported ({error}): install it by '
                         f'pip install {package}') from error
