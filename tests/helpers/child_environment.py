# Copyright (c) The mmvc contributors. All rights reserved.
"""The environment of child processes."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def child_environment(**variables: str) -> dict[str, str]:
    """This process's environment, with which a child imports ``mmvc`` and ``tests`` from this repository.

    Args:
        **variables: What the child gets besides.
    """
    path = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(path), **variables)
