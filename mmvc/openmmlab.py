# Copyright (c) The mmvc contributors. All rights reserved.
"""What mmengine gets to know of this package, and when.

Importing mmengine and torch takes seconds. ``mmvc --help`` needs neither. So ``import mmvc`` connects the package to
mmengine at once only if mmengine is imported already, as where a config has ``custom_imports``. Otherwise it waits:
the import of mmengine then ends with the connection, so nobody uses mmengine before it.
"""

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MMENGINE = 'mmengine'


def connect() -> None:
    """Register the scope ``mmvc``, the safe loader of checkpoints, and the substitute for compiled ops of mmcv.

    From then on, the normalisation of every model that is built is noted for masking.

    Raises:
        ImportError: mmcv is not installed.
    """
    from .utils.compiled_ops import ensure_importable_mmcv_ops
    ensure_importable_mmcv_ops()  # must come before anything that imports mmdet
    # They register themselves. If the import of one of them imports mmengine, it does so when it is complete.
    for module in ('registry', 'utils.checkpoint_loading', 'utils.log_levels', 'utils.normalisation'):
        import_module(f'mmvc.{module}')


class _WaitForMmengine(MetaPathFinder):
    """Connects the package right after the first import of mmengine, within this import."""

    def __init__(self) -> None:
        self._thread = threading.local()

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Find mmengine as the other finders do, and add a step to its execution."""
        # another finder that asks all others, as one that an earlier import of mmvc has left, asks this one too
        if name != _MMENGINE or getattr(self._thread, 'is_asking', False):
            return None
        self._thread.is_asking = True
        try:
            others = [finder for finder in sys.meta_path if finder is not self]
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        finally:
            self._thread.is_asking = False
        loader: Any = spec and spec.loader
        if loader is not None:
            execute = loader.exec_module

            def execute_and_connect(module: ModuleType) -> None:
                execute(module)
                # a zip file has one loader for all of its modules; it may have got this step more than once
                if module.__name__ == _MMENGINE and self in sys.meta_path:
                    connect()
                    sys.meta_path.remove(self)  # after a failure, the next import tries again

            loader.exec_module = execute_and_connect
        return spec


def connect_when_needed() -> None:
    """Connect the package now if mmengine is imported, else right after its first import."""
    if _MMENGINE in sys.modules:
        connect()
    else:
        sys.meta_path.insert(0, _WaitForMmengine())
