# Copyright (c) The mmvc contributors. All rights reserved.
"""Time the contrastive losses against a loop over objects that computes the same formulas one item at a time.

    python benchmarks/contrastive_loss.py [--device cuda] [--repeats 20]

For each loss, prints milliseconds of forward and backward, the speed-up, and the largest relative difference of loss
and gradient (float32; the gradient's difference is relative to its largest entry).
"""

import argparse
import random
import time
from collections.abc import Callable
from unittest import mock

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from mmvc.models.losses import FrameContrastiveLoss, ReferenceContrastiveLoss, TemporalContrastiveLoss
from mmvc.utils import keep_freed_memory


def pair_loss(positives: Tensor, negatives: Tensor) -> Tensor:
    """Compute log(1 + sum over pairs of exp(negative - positive)), pair by pair."""
    pairs = (negatives[None] - positives[:, None]).flatten()
    return torch.cat([pairs, pairs.new_zeros(1)]).logsumexp(0)


def others(embeds: Tensor, query: int) -> Tensor:
    """Return all rows except one."""
    return torch.cat([embeds[:query], embeds[query + 1:]])


def reference_loop(references: Tensor, queries: list[int]) -> Tensor:
    """Compute the tracker's loss of one clip (T, Q, C)."""
    items = []
    for t in range(1, len(references)):
        for query in queries:
            anchor = references[t, query]
            for neighbour in (t - 1, t + 1):
                if neighbour < len(references):
                    positives = references[neighbour, query][None] @ anchor
                    items.append(pair_loss(positives, others(references[neighbour], query) @ anchor))
    return 2 * sum(items) / len(items)


def temporal_loop(embeds: Tensor, queries: list[int], labels: list[int], memory: dict[int, list[Tensor]]) -> Tensor:
    """Compute the refiner's loss of one clip (T, Q, C); adds its objects to the memory of their classes."""
    items = []
    for frame in embeds:
        for query, label in zip(queries, labels):
            positives = embeds[:, query] @ frame[query]
            items.append(pair_loss(positives, others(frame, query) @ frame[query]))
            if memory[label]:
                items.append(pair_loss(positives, torch.stack(memory[label]) @ frame[query]))
    for query, label in zip(queries, labels):
        memory[label].extend(embeds[:, query].detach())
        random.shuffle(memory[label])
        del memory[label][100:]
    return 2 * sum(items) / len(items)


def frame_loop(embeds: Tensor, queries: list[int], take_average: Tensor) -> Tensor:
    """Compute both terms of the segmenter's loss for one clip (T, Q, C) that shows all objects in all frames."""
    items, aux_items = [], []
    for i, query in enumerate(queries):
        average = embeds[0, query]
        for t in range(1, len(embeds)):
            anchor = embeds[t, query]
            positive = average if take_average[t, i] else embeds[t - 1, query]
            candidates = torch.cat([positive[None], others(embeds[t - 1], query)])
            scores = candidates @ anchor
            items.append(pair_loss(scores[:1], scores[1:]))
            wanted = torch.zeros_like(scores)
            wanted[0] = 1
            aux_items.append((F.cosine_similarity(candidates, anchor[None]) - wanted).square().mean())
            step = F.cosine_similarity(embeds[:t, query], anchor[None]).mean().clamp(min=0)
            average = (1 - step) * average + step * anchor
    return 2 * sum(items) / len(items) + 3 * sum(aux_items) / len(aux_items)


def measure(make: Callable[[], Callable], embeds: Tensor, repeats: int) -> tuple[float, Tensor, Tensor]:
    """Return the best time of forward and backward in ms, the loss and the gradient; each run has a new function."""
    times = []
    for _ in range(repeats):
        function, embeds = make(), embeds.detach().requires_grad_()
        if embeds.is_cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        loss = function(embeds)
        loss.backward()
        if embeds.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1000 * min(times), loss.detach(), embeds.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--repeats', type=int, default=20, help='runs of our losses; the loop runs a fifth as often')
    parser.add_argument('--num-queries', type=int, default=100)
    parser.add_argument('--num-objects', type=int, default=20)
    parser.add_argument('--channels', type=int, default=512)
    args = parser.parse_args()

    keep_freed_memory()  # as in a training; without it, page faults dominate both times
    torch.manual_seed(0)
    queries = torch.randperm(args.num_queries)[:args.num_objects].tolist()
    labels = [i // 2 for i in range(args.num_objects)]  # two objects of each class
    matched = torch.tensor(queries, device=args.device), torch.arange(args.num_objects, device=args.device)
    target = InstanceData(labels=torch.tensor(labels, device=args.device), instances_ids=matched[1])

    def reference() -> tuple:
        loss = ReferenceContrastiveLoss()
        return lambda: lambda x: loss(x[None], [matched])['loss_reid'], lambda: lambda x: reference_loop(x, queries)

    def temporal(filled: int) -> tuple:
        past = {label: torch.randn(filled, args.channels, device=args.device) for label in set(labels)}

        def ours() -> Callable:
            loss = TemporalContrastiveLoss(len(past), args.channels).to(args.device)
            for label, embeds in past.items():
                loss.memory.push(embeds, torch.full((filled, ), label, device=args.device))
            return lambda x: loss(x[None], [matched], [target])['loss_reid']

        def loop() -> Callable:
            memory = {label: list(embeds) for label, embeds in past.items()}
            return lambda x: temporal_loop(x, queries, labels, memory)

        return ours, loop

    def frame(num_frames: int) -> tuple:
        draws = torch.rand(num_frames, args.num_objects)
        loss = FrameContrastiveLoss()

        def ours(embeds: Tensor) -> Tensor:
            with mock.patch('torch.rand', lambda *_, **__: draws.to(args.device)):  # the draws of the loop
                return sum(loss(embeds, [matched] * num_frames, [target] * num_frames, num_frames).values())

        return lambda: ours, lambda: lambda x: frame_loop(x, queries, draws >= 0.5)

    print(f'{args.num_queries} queries, {args.num_objects} objects, {args.channels} channels, {args.device}, '
          f'{torch.get_num_threads()} threads, torch {torch.__version__}')
    print('| loss | frames | loop ms | ours ms | speed-up | difference of loss | of gradient |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for num_frames in (5, 21):
        # this scale keeps products of two embeddings near 1, so that no loss saturates
        embeds = torch.randn(num_frames, args.num_queries, args.channels, device=args.device) / args.channels**0.25
        cases = {
            'tracker': reference(),
            'refiner, memory empty': temporal(0),
            'refiner, memory full': temporal(100),
            'segmenter': frame(num_frames),
        }
        for name, (ours, loop) in cases.items():
            loop_ms, loop_loss, loop_grad = measure(loop, embeds, max(1, args.repeats // 5))
            ours_ms, loss, grad = measure(ours, embeds, args.repeats)
            loss_diff = ((loss - loop_loss).abs() / loop_loss.abs()).item()
            grad_diff = ((grad - loop_grad).abs().max() / loop_grad.abs().max()).item()
            print(f'| {name} | {num_frames} | {loop_ms:.1f} | {ours_ms:.2f} | {loop_ms / ours_ms:.0f}x '
                  f'| {loss_diff:.1e} | {grad_diff:.1e} |')


if __name__ == '__main__':
    main()
