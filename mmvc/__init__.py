# Copyright (c) The mmvc contributors. All rights reserved.
"""Video semantic, panoptic and instance segmentation on OpenMMLab.

Importing the package registers its scope (``mmvc``) with mmengine, so ``type='mmvc.RandomPatchMask'`` resolves in
any OpenMMLab config that lists ``custom_imports = dict(imports=['mmvc'])``.
"""

from .utils.compiled_ops import ensure_importable_mmcv_ops

ensure_importable_mmcv_ops()  # must come before anything that imports mmdet

from . import registry  # noqa: E402
from .utils.checkpoint_loading import register_checkpoint_loader  # noqa: E402
from .version import __version__  # noqa: E402

register_checkpoint_loader()

__all__ = ['__version__', 'registry']
