# Copyright (c) The mmvc contributors. All rights reserved.
"""Type aliases that several packages use."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

#: path of a file or folder
PathLike = str | Path
#: matched queries and objects: two index tensors, int64 (n,) each
Indices = tuple['Tensor', 'Tensor']
