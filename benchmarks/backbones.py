# Copyright (c) The mmvc contributors. All rights reserved.
"""Time of small backbones on a CPU: EfficientNet-Lite with either memory layout, and ResNet-18 of half width.

A training step is a forward and a backward pass with all weights trained; batch norm keeps its statistics.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmvc.registry import MODELS


def seconds(model: nn.Module, images: Tensor, train: bool, clock: Callable[[], float]) -> float:
    """Time one pass."""
    begin = clock()
    with torch.set_grad_enabled(train):
        outputs = model(images)
        if train:
            sum(output.mean() for output in outputs).backward()
    return clock() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(192, 256), metavar=('H', 'W'),
                        help='size of the frames; default: 192 256')
    parser.add_argument('--frames', type=int, default=4, help='frames per step; default: %(default)s')
    parser.add_argument('--rounds', type=int, default=9, help='timed steps of each backbone; default: %(default)s')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch; default: %(default)s')
    parser.add_argument('--cpu-time', action='store_true',
                        help='time that the CPU spent on this process, for a machine that has other work')
    args = parser.parse_args()
    clock = time.process_time if args.cpu_time else time.perf_counter
    torch.set_num_threads(args.threads)
    resnet = dict(type='mmdet.ResNet', depth=18, frozen_stages=-1)
    settings = {'ResNet-18, half width': dict(resnet, base_channels=32), 'ResNet-18': resnet}
    for arch in ('lite0', 'lite1', 'lite2'):
        for channels_last in (False, True):
            settings[f'{arch}{", channels last" if channels_last else ""}'] = dict(
                type='EfficientNetLite', arch=arch, channels_last=channels_last)
    models: dict[str, nn.Module] = {name: MODELS.build(backbone) for name, backbone in settings.items()}
    images = torch.rand(args.frames, 3, *args.size)
    times: dict[tuple[str, bool], list[float]] = {}
    for round_number in range(args.rounds + 1):  # in turns, so that all meet the same load; the first warms up
        for name, model in models.items():
            for train in (True, False):
                model.train(train)  # mmdet's ResNet returns nothing here
                spent = seconds(model, images, train, clock)
                if round_number:
                    times.setdefault((name, train), []).append(spent)
    print(f'{args.frames} frames of {args.size[0]} x {args.size[1]}, {args.threads} thread(s), '
          f'median of {args.rounds}:')
    print(f'{"backbone":24}{"M parameters":>14}{"step, ms":>10}{"forward, ms":>13}')
    for name, model in models.items():
        step, forward = (1000 * statistics.median(times[name, train]) for train in (True, False))
        parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        print(f'{name:24}{parameters:14.2f}{step:10.0f}{forward:13.0f}')


if __name__ == '__main__':
    main()
