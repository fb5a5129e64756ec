# Copyright (c) The mmvc contributors. All rights reserved.
from typing import NamedTuple

import numpy as np


class SparseCounts(NamedTuple):
    """The cells of an array of counts that are not zero: a video has few of the 124 x 125 pairs of classes.

    Attributes:
        shape (tuple[int, ...]): Shape of the array.
        cells (np.ndarray): Positions in the flattened array, int32, shape (n, ).
        values (np.ndarray): Their counts, shape (n, ).
    """
    shape: tuple[int, ...]
    cells: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray) -> 'SparseCounts':
        """Keep the cells of an array that are not zero."""
        flat = counts.reshape(-1)
        cells = np.flatnonzero(flat).astype(np.int32)
        return cls(counts.shape, cells, flat[cells])

    def dense(self) -> np.ndarray:
        """The whole array."""
        counts = np.zeros(self.shape, self.values.dtype)
        counts.reshape(-1)[self.cells] = self.values
        return counts
