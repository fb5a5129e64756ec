# Copyright (c) The mmvc contributors. All rights reserved.
"""Numbers out: pure functions in ``functional``, registered metrics in ``metrics``."""

from .functional import *  # noqa: F401,F403
from .metrics import *  # noqa: F401,F403
