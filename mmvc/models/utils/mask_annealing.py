# Copyright (c) The mmvc contributors. All rights reserved.
"""Masked attention that ends during the training: EoMT, arXiv 2503.19108."""

from collections.abc import Sequence

from mmvc.utils.errors import UsageError

from .iteration import current_iteration


class MaskAnnealing:
    """Probability that the attention of a block is masked, which falls from 1 to 0 in the course of a training.

    Block ``b`` is always masked until ``starts[b]`` and never after ``ends[b]``. Between the two, its probability is
    ``(1 - progress) ** power``, where ``progress`` goes from 0 to 1.

    The defaults are those of EoMT on COCO, as fractions of the training: every block takes a sixth of it, the first
    begins after one sixth, the last ends after five sixths, and the others lie between them at equal distances. With 4
    blocks (ViT-L) each begins where the one before ends.

    Args:
        num_blocks (int): Number of blocks with queries.
        starts (Sequence[float], optional): Start for every block, as a fraction of the training. Defaults to None: as
            above.
        ends (Sequence[float], optional): The same for the end. Defaults to None: a sixth after the start, at most 1.
        power (float): Exponent. Defaults to 0.9.

    Raises:
        UsageError: There is another number of starts or ends than of blocks, or one is out of range.
    """

    def __init__(self,
                 num_blocks: int,
                 starts: Sequence[float] | None = None,
                 ends: Sequence[float] | None = None,
                 power: float = 0.9) -> None:
        if starts is None:
            starts = [1 / 6 + block / (2 * max(num_blocks - 1, 1)) for block in range(num_blocks)]
        if ends is None:
            ends = [min(start + 1 / 6, 1.0) for start in starts]
        if not len(starts) == len(ends) == num_blocks:
            raise UsageError(f'masked_attention: {len(starts)} starts and {len(ends)} ends do not fit {num_blocks} '
                             'blocks: give one of each for every block with queries')
        for start, end in zip(starts, ends):
            if not 0 <= start <= end <= 1:
                raise UsageError(f'masked_attention: start {start:g} and end {end:g} of a block must be fractions of '
                                 'the training, from 0 to 1, and the end must not be before the start')
        self.starts, self.ends, self.power = tuple(starts), tuple(ends), power

    def probability(self, block: int, progress: float) -> float:
        """Return the probability at a given point of a training.

        Args:
            block (int): Block, counted from 0: the first block with queries.
            progress (float): Share of the training that has passed, from 0 to 1.

        Returns:
            float: Probability, from 0 to 1.
        """
        start, end = self.starts[block], self.ends[block]
        if progress < start:
            return 1.0
        if progress >= end:
            return 0.0
        return ((end - progress) / (end - start))**self.power

    def __call__(self, block: int) -> float:
        """Return the probability in the current iteration; 0 outside of a training. See :meth:`probability`."""
        current = current_iteration()
        return 0.0 if current is None else self.probability(block, current[0] / current[1])
