# Copyright (c) The mmvc contributors. All rights reserved.
"""Checks of datasets on disk: every file opened, every id looked up, the totals compared with the benchmark's."""
from .from_config import check_config
from .report import CheckReport
from .vipseg import check_vipseg
from .vis import check_vis
from .vspw import check_vspw

__all__ = ['CheckReport', 'check_config', 'check_vipseg', 'check_vis', 'check_vspw']
