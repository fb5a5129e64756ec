# Copyright (c) The mmvc contributors. All rights reserved.
"""Lets mmdet be imported where mmcv was installed without its compiled extension.

``mmdet`` imports every op of ``mmcv.ops``, and each of them loads ``mmcv._ext`` at import time. A pure-Python mmcv has
no such module. The models of this package need none of the compiled ops, so a stand-in is handed to ``mmcv.ops``:
importing works, and calling an op that really needs compiled code says so.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

_EXT_NAME = 'mmcv._ext'


class _MissingExtension(ModuleType):
    """Stands in for ``mmcv._ext``: every attribute is an op that raises when called."""

    @staticmethod
    def get_compiler_version() -> str:
        """What mmcv's ``collect_env`` reports for a package without compiled code."""
        return 'n/a'

    get_compiling_cuda_version = get_compiler_version

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):  # let Python's own look-ups (``__path__``, ``__wrapped__``) fail as usual
            raise AttributeError(name)

        def op(*args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(
                f"The compiled op '{name}' of mmcv was called, but this mmcv has no compiled extension ({_EXT_NAME}). "
                'The models of mmvc do not need it; another part of your config does. Build one for your torch: '
                '`pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation onedl-mmcv` '
                '(on the classic stack `mmcv==2.1.0` instead of `onedl-mmcv`).')

        op.__name__ = name
        return op


@functools.lru_cache(maxsize=None)
def has_compiled_ops() -> bool:
    """Whether mmcv has its compiled extension.

    Returns:
        bool: False where mmcv is the pure-Python distribution.

    Raises:
        ImportError: If there is no mmcv at all.
    """
    try:
        return importlib.util.find_spec(_EXT_NAME) is not None
    except ModuleNotFoundError as error:
        raise ImportError(
            'mmvc needs mmengine, mmcv, mmdet and mmseg: `pip install -r requirements/mminstall.txt`') from error


def ensure_importable_mmcv_ops() -> None:
    """Import ``mmcv.ops``, with a stand-in for ``mmcv._ext`` where the real one is missing.

    The stand-in is in ``sys.modules`` only meanwhile: mmengine looks there to know whether ops are compiled.
    """
    if has_compiled_ops():
        return
    sys.modules[_EXT_NAME] = _MissingExtension(_EXT_NAME)
    try:
        ops = importlib.import_module('mmcv.ops')
    finally:
        del sys.modules[_EXT_NAME]
    # mmdet takes the class from here, where it is missing if this module was imported before the stand-in was there
    transformer: Any = importlib.import_module('mmcv.cnn.bricks.transformer')
    transformer.MultiScaleDeformableAttention = ops.MultiScaleDeformableAttention
