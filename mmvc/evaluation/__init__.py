# Copyright (c) The mmvc contributors. All rights reserved.
"""Metrics: pure functions in ``functional``, registered metrics in ``metrics``, scores of files in ``files``."""

from .functional import *  # noqa: F401,F403
from .metrics import *  # noqa: F401,F403
