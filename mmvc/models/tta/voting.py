# Copyright (c) The mmvc contributors. All rights reserved.
"""Merging several predictions into one by voting, for test-time augmentation (arXiv 2406.04979, Eq. 8)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def majority_vote(predictions: Sequence[Tensor], resolutions: Sequence[int] | None = None) -> Tensor:
    """Assign every pixel to the class with the most votes.

    On a tie, the input of the highest resolution decides between the classes with the most votes. If it predicts none
    of them, the input of the next lower resolution decides, and so on. Of two inputs with the same resolution (an
    image and its flipped copy) the first one decides.

    Votes are counted by comparing predictions with each other: this takes n maps of 8-bit counters instead of one per
    class, and no sorting.

    Args:
        predictions (Sequence[Tensor]): n label maps of one shape (..., H, W) and one integer type, 1 <= n <= 255.
            255 for "no prediction" is a vote like any other.
        resolutions (Sequence[int], optional): Number of pixels of the input of each prediction. Defaults to None: the
            predictions are in order, from the highest resolution to the lowest.

    Returns:
        Tensor: The winning label map, a new tensor of the same shape and type.

    Raises:
        ValueError: There are no or too many predictions, or their shapes or types differ.
    """
    if not 1 <= len(predictions) <= 255:
        raise ValueError(f'cannot vote with {len(predictions)} predictions: give 1 to 255 (counters have 8 bits)')
    kinds = {(tuple(prediction.shape), prediction.dtype) for prediction in predictions}
    if len(kinds) > 1:
        raise ValueError('predictions of different shapes or types cannot vote together '
                         f'({", ".join(sorted(map(str, kinds)))}): resize them to the original frame')
    if resolutions is not None:
        if len(resolutions) != len(predictions):
            raise ValueError(f'{len(resolutions)} resolutions for {len(predictions)} predictions: give one for each')
        order = sorted(range(len(predictions)), key=lambda i: -resolutions[i])  # stable sort
        predictions = [predictions[i] for i in order]

    votes = _count_votes(predictions)
    winner, most = predictions[0].clone(), votes[0]
    for prediction, count in zip(predictions[1:], votes[1:]):
        better = count > most  # not >=: on a tie, keep the earlier one, whose resolution is higher
        winner = torch.where(better, prediction, winner)
        most = torch.maximum(most, count)
    return winner


def vote_margin(predictions: Sequence[Tensor], winner: Tensor) -> Tensor:
    """Measure how clearly a vote was won.

    Args:
        predictions (Sequence[Tensor]): As for :func:`majority_vote`.
        winner (Tensor): Result of :func:`majority_vote`.

    Returns:
        Tensor: Share of votes for the winner minus the share for the second class, scaled from 0 (a tie) to 255 (all
        agree): uint8, of the winner's shape.
    """
    won, lost = torch.zeros_like(winner, dtype=torch.uint8), torch.zeros_like(winner, dtype=torch.uint8)
    for prediction, count in zip(predictions, _count_votes(predictions)):
        is_winner = prediction == winner
        won = torch.where(is_winner, count, won)
        lost = torch.where(is_winner, lost, torch.maximum(lost, count))
    return ((won - lost).float() * (255 / len(predictions))).round().to(torch.uint8)


def _count_votes(predictions: Sequence[Tensor]) -> list[Tensor]:
    """Count for each prediction how many predictions agree with it at each pixel, itself included: uint8."""
    votes = [torch.ones_like(prediction, dtype=torch.uint8) for prediction in predictions]
    for i, prediction in enumerate(predictions):
        for j in range(i):
            same = (prediction == predictions[j]).view(torch.uint8)
            votes[i] += same
            votes[j] += same
    return votes


def soft_vote(scores: Iterable[Tensor]) -> Tensor:
    """Assign every pixel to the class with the highest mean probability.

    Scores are summed prediction by prediction, so with a generator only one of them is in memory besides the sum. At
    each pixel, scores are first divided by their sum over the classes: every prediction has the same weight, also
    where it sees hardly anything.

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
                             'resize them to the original frame')
    if total is None:
        raise ValueError('there are no predictions to vote with: give the scores of at least one')
    return total.argmax(dim=0)
