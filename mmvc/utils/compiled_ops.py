# Copyright (c) The mmvc contributors. All rights reserved.
"""Makes mmdet importable if mmcv was installed without its compiled extension.

``mmdet`` imports every op of ``mmcv.ops``, and each of them loads ``mmcv._ext`` at import time. A pure-Python mmcv has
no such module. The models of this package need no compiled op. So ``mmcv.ops`` gets a substitute module: importing
works, and only calling a compiled op raises an error.
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
    """Substitute for ``mmcv._ext``: every attribute is an op that raises an error when called."""

    @staticmethod
    def get_compiler_version() -> str:
        """Return what mmcv's ``collect_env`` reports for a package without compiled code."""
        return 'n/a'

    get_compiling_cuda_version = get_compiler_version

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):  # Python's own lookups (``__path__``, ``__wrapped__``) must fail as usual
            raise AttributeError(name)

        def op(*args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(
                f"The compiled op '{name}' of mmcv was called, but this mmcv has no compiled extension ({_EXT_NAME}). "
                'The models of mmvc do not need it; another part of your config does. Build it for your torch: '
                '`pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation onedl-mmcv` '
                '(on the classic stack `mmcv==2.1.0` instead of `onedl-mmcv`).')

        op.__name__ = name
        return op


@functools.lru_cache(maxsize=None)
def has_compiled_ops() -> bool:
    """Check whether mmcv has its compiled extension.

    Returns:
        bool: False if mmcv is the pure-Python distribution.

    Raises:
        ImportError: mmcv is not installed.
    """
    try:
        return importlib.util.find_spec(_EXT_NAME) is not None
    except ModuleNotFoundError as error:
        raise ImportError(
            'mmvc needs torch, mmengine, mmcv, mmdet and mmseg: install torch, and then the others by '
            '`pip install -r requirements/mminstall.txt` in the source tree, or as the extra "mim" of this package '
            '(`pip install "mmvc[mim] @ file:///PATH/TO/mmvc-VERSION.tar.gz"`)') from error


def ensure_importable_mmcv_ops() -> None:
    """Import ``mmcv.ops``, with a substitute for ``mmcv._ext`` if that is missing.

    The substitute is in ``sys.modules`` only during the import, because mmengine looks there to find out whether ops
    are compiled.
    """
    if has_compiled_ops():
        return
    sys.modules[_EXT_NAME] = _MissingExtension(_EXT_NAME)
    try:
        ops = importlib.import_module('mmcv.ops')
    finally:
        del sys.modules[_EXT_NAME]
    # mmdet imports the class from here; it is missing if this module was imported before the substitute existed
    transformer: Any = importlib.import_module('mmcv.cnn.bricks.transformer')
    transformer.MultiScaleDeformableAttention = ops.MultiScaleDeformableAttention
