# Copyright (c) The mmvc contributors. All rights reserved.
"""One prediction out of many: the votes of test-time augmentation (arXiv 2406.04979, Eq. 8)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def majority_vote(predictions: Sequence[Tensor], resolutions: Sequence[int] | None = None) -> Tensor:
    """Give every pixel the class that most predictions give it.

    On a tie the class wins, among those with most votes, that the input of the highest resolution predicts. If that
    input predicts none of them, the one of the next lower resolution decides, and so on; of two inputs of one
    resolution (an image and its mirror image) the one that stands first does.

    Each class gets its votes from comparing predictions with each other: that takes n maps of 8-bit counters, not one
    per class, and no sorting.

    Args:
        predictions (Sequence[Tensor]): n label maps of one shape (..., H, W) and one integer type, 1 <= n <= 255.
            Values are compared, nothing else: 255 for "no prediction" is a vote like any other.
        resolutions (Sequence[int], optional): Pixels of the input behind each prediction. Defaults to None: the
            predictions stand in order, from the highest resolution to the lowest.

    Returns:
        Tensor: The label map that won, a new tensor of the same shape and type.

    Raises:
        ValueError: There are no or too many predictions, or they do not go together.
    """
    if not 1 <= len(predictions) <= 255:
        raise ValueError(f'{len(predictions)} predictions to vote: give 1 to 255 (votes are counted in 8 bits)')
    kinds = {(tuple(prediction.shape), prediction.dtype) for prediction in predictions}
    if len(kinds) > 1:
        raise ValueError('predictions of different shapes or types cannot vote together: '
                         f'{", ".join(sorted(map(str, kinds)))}; bring them to the size of the original frame')
    if resolutions is not None:
        if len(resolutions) != len(predictions):
            raise ValueError(f'{len(resolutions)} resolutions for {len(predictions)} predictions: give one for each')
        order = sorted(range(len(predictions)), key=lambda i: -resolutions[i])  # stable: equal ones stay in order
        predictions = [predictions[i] for i in order]

    votes = _count_votes(predictions)
    winner, most = predictions[0].clone(), votes[0]
    for prediction, count in zip(predictions[1:], votes[1:]):
        better = count > most  # not >=: on a tie the earlier, of higher resolution, stays
        winner = torch.where(better, prediction, winner)
        most = torch.maximum(most, count)
    return winner


def vote_margin(predictions: Sequence[Tensor], winner: Tensor) -> Tensor:
    """How clearly a vote was won: a measure of doubt that any predictions give.

    Args:
        predictions (Sequence[Tensor]): As for :func:`majority_vote`.
        winner (Tensor): What it returned.

    Returns:
        Tensor: Share of the votes for the winner less that for the best other class, from 0 (a tie) to 255 (all
        agree): uint8, of the winner's shape.
    """
    won, lost = torch.zeros_like(winner, dtype=torch.uint8), torch.zeros_like(winner, dtype=torch.uint8)
    for prediction, count in zip(predictions, _count_votes(predictions)):
        is_winner = prediction == winner
        won = torch.where(is_winner, count, won)
        lost = torch.where(is_winner, lost, torch.maximum(lost, count))
    return ((won - lost).float() * (255 / len(predictions))).round().to(torch.uint8)


def _count_votes(predictions: Sequence[Tensor]) -> list[Tensor]:
    """For each prediction, how many predictions agree with it at each pixel, itself included: uint8."""
    votes = [torch.ones_like(prediction, dtype=torch.uint8) for prediction in predictions]
    for i, prediction in enumerate(predictions):
        for j in range(i):
            same = (prediction == predictions[j]).view(torch.uint8)
            votes[i] += same
            votes[j] += same
    return votes


def soft_vote(scores: Iterable[Tensor]) -> Tensor:
    """Give every pixel the class of the highest mean probability.

    Scores are added up one prediction after the other, so a generator keeps only one of them in memory besides the
    sum. They are divided by their sum over the classes first: every prediction has one vote at every pixel, however
    sure it is that there is anything at all.

    Args:
        scores (Iterable[Tensor]): Probabilities or other scores >= 0 of each prediction, float (K, H, W).

    Returns:
        Tensor: Class indices, int64 (H, W); the smallest index among equals.

    Raises:
        ValueError: There is no prediction, or they differ in shape.
    """
    total = None
    for score in scores:
        score = score / score.sum(dim=0, keepdim=True).clamp(min=torch.finfo(score.dtype).tiny)
        if total is None:
            total = score
        elif total.shape == score.shape:
            total += score
        else:
            raise ValueError(f'scores of shapes {tuple(total.shape)} and {tuple(score.shape)} cannot vote together: '
                             'bring them to the size of the original frame')
    if total is None:
        raise ValueError('no predictions to vote')
    return total.argmax(dim=0)
