# Copyright (c) The mmvc contributors. All rights reserved.
"""Video semantic, panoptic and instance segmentation on OpenMMLab.

Importing the package registers its scope ``mmvc`` with mmengine. So any OpenMMLab config with
``custom_imports = dict(imports=['mmvc'])`` can use its classes, such as ``type='mmvc.RandomPatchMask'``. It also makes
mmengine load checkpoints without running code in them, see :mod:`mmvc.utils.checkpoint_loading`, and notes how models
normalise, so that masking fits them, see :mod:`mmvc.utils.normalisation`.
"""

import signal
import sys
from pathlib import Path

# Python imports this package before it runs mmvc, mmvc.apis or the script mmvc. Of a module, sys.argv has no name yet.
_is_command = not {'mmvc', 'mmvc.apis'}.isdisjoint(sys.orig_argv) if sys.argv[:1] == ['-m'] else (
    Path(sys.argv[0] if sys.argv else '').stem == 'mmvc')
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the command without a traceback

from .utils.compiled_ops import ensure_importable_mmcv_ops  # noqa: E402

ensure_importable_mmcv_ops()  # must come before anything that imports mmdet

from . import registry  # noqa: E402
from .utils.checkpoint_loading import register_checkpoint_loader  # noqa: E402
from .utils.log_levels import hide_debug_messages  # noqa: E402
from .utils.normalisation import watch_models  # noqa: E402
from .version import __version__  # noqa: E402

register_checkpoint_loader()
hide_debug_messages()
watch_models()

__all__ = ['__version__', 'registry']
