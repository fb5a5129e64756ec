# Copyright (c) The mmvc contributors. All rights reserved.
"""Time the majority vote of test-time augmentation, and compare it with a vote that has one counter per class.

    python benchmarks/voting.py [--size 720 1280] [--predictions 8] [--classes 124] [--frames 20] [--threads 1]

Prints the frames per second of both votes. Stops with an error if they differ where there is no tie.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mmvc.models.tta import majority_vote


def make_predictions(count: int, num_classes: int, size: tuple[int, int]) -> list[Tensor]:
    """Make label maps of 16x16 blocks; half of the blocks of each map have a random class."""
    height, width = size
    blocks = (height + 15) // 16, (width + 15) // 16
    common = torch.randint(num_classes, blocks, dtype=torch.uint8)
    predictions = []
    for _ in range(count):
        own = torch.where(torch.rand(blocks) < 0.5, torch.randint(num_classes, blocks, dtype=torch.uint8), common)
        full = own.repeat_interleave(16, 0).repeat_interleave(16, 1)
        predictions.append(full[:height, :width].contiguous())
    return predictions


def count_per_class(predictions: list[Tensor], num_classes: int) -> tuple[Tensor, Tensor]:
    """Vote with one counter per class; return the winner (the smallest index on a tie) and where there is no tie."""
    votes = torch.zeros((num_classes, *predictions[0].shape), dtype=torch.uint8)
    one = torch.ones((1, *predictions[0].shape), dtype=torch.uint8)
    for prediction in predictions:
        votes.scatter_add_(0, prediction[None].long(), one)
    best = votes.amax(0)
    return votes.argmax(0).to(torch.uint8), (votes == best).sum(0) == 1


def frames_per_second(function: Callable, frames: int) -> float:
    """Time a function that votes on one frame."""
    function()  # warm up
    start = time.perf_counter()
    for _ in range(frames):
        function()
    return frames / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', nargs=2, type=int, default=(720, 1280), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--predictions', type=int, default=8)
    parser.add_argument('--classes', type=int, default=124)
    parser.add_argument('--frames', type=int, default=20)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    predictions = make_predictions(args.predictions, args.classes, args.size)
    expected, clear = count_per_class(predictions, args.classes)
    if not torch.equal(majority_vote(predictions)[clear], expected[clear]):
        raise AssertionError('the two votes differ where there is no tie')
    print(f'{args.predictions} predictions of {args.size[0]}x{args.size[1]}, {args.classes} classes, '
          f'{args.threads} thread(s); ties at {100 * (1 - clear.float().mean()):.1f} % of the pixels')
    print(f'majority_vote      {frames_per_second(lambda: majority_vote(predictions), args.frames):8.1f} frames/s')
    slow = frames_per_second(lambda: count_per_class(predictions, args.classes), 2)
    print(f'counters per class {slow:8.1f} frames/s')


if __name__ == '__main__':
    main()
