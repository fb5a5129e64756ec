# Copyright (c) The mmvc contributors. All rights reserved.
"""Video semantic, panoptic and instance segmentation on OpenMMLab.

Importing the package registers its scope ``mmvc`` with mmengine. So any OpenMMLab config with
``custom_imports = dict(imports=['mmvc'])`` can use its classes, such as ``type='mmvc.RandomPatchMask'``. It also makes
mmengine load checkpoints without running code in them, see :mod:`mmvc.utils.checkpoint_loading`, and notes how models
normalise, so that masking fits them, see :mod:`mmvc.utils.normalisation`. If mmengine is not imported yet, all this
happens when it is, see :mod:`mmvc.openmmlab`; until then the import takes milliseconds.

If torch is not imported yet either, the import decides how the threads of torch wait for each other, and limits their
number to the cores that the process may use, see :mod:`mmvc.utils.threads`.
"""

import signal
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# Python imports this package before it runs mmvc, mmvc.apis or the script mmvc. Of a module, sys.argv has no name yet.
_is_command = not {'mmvc', 'mmvc.apis'}.isdisjoint(sys.orig_argv) if sys.argv[:1] == ['-m'] else (
    Path(sys.argv[0] if sys.argv else '').stem == 'mmvc')
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the command without a traceback

from .openmmlab import connect_when_needed  # noqa: E402
from .utils.threads import set_threads  # noqa: E402
from .version import __version__  # noqa: E402

set_threads()  # must come before anything that imports torch
connect_when_needed()

__all__ = ['__version__']


def __getattr__(name: str) -> ModuleType:
    """Import ``mmvc.registry`` when it is first used: it needs mmengine."""
    if name == 'registry':
        return import_module('mmvc.registry')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
