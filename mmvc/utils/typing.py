# Copyright (c) The mmvc contributors. All rights reserved.
"""Type aliases that several packages use."""

from pathlib import Path

from torch import Tensor

#: name of a file or folder
PathLike = str | Path
#: matched queries and objects: two index vectors, int64 (n,) each
Indices = tuple[Tensor, Tensor]
