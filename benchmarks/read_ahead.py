# Copyright (c) The mmvc contributors. All rights reserved.
"""Time the segmentation of files with frames that a thread decodes ahead, and without.

    python benchmarks/read_ahead.py                    # 12 frames of 1920 x 1080: a video, and folders of JPEG and PNG
    python benchmarks/read_ahead.py --cores 1          # on one core: the thread must not cost anything
    python benchmarks/read_ahead.py --frames 60 --rounds 5 --seconds 1200

The network is the small online model of the demo with random weights on one thread, so a second core can decode; it
sees the frames with a short side of 360 pixels (--network-size). Both forms take turns; the table has the best round
of each. "decoding" reads the frames without a network. "waiting" is the time in which the network waits for frames.
On an idle machine it takes one or two minutes. On a busy one it does fewer rounds, at least one (--seconds).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from prettytable import PrettyTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.turns import turns  # noqa: E402
from mmvc.utils.progress import ProgressBars  # noqa: E402


def make_frames(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """A photo-like texture that moves, with some noise."""
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8), (2 * width, 2 * height),
                         interpolation=cv2.INTER_CUBIC)
    for t in range(count):
        frame = texture[3 * t:3 * t + height, 5 * t:5 * t + width]
        yield cv2.add(frame, rng.integers(0, 12, frame.shape, np.uint8))


def write_inputs(folder: Path, count: int, size: tuple[int, int]) -> dict[str, Path]:
    """Write the frames as a video, as JPEGs and as PNGs."""
    inputs = dict(video=folder / 'clip.mp4', JPEG=folder / 'jpeg', PNG=folder / 'png')
    video = cv2.VideoWriter(str(inputs['video']), cv2.VideoWriter_fourcc(*'mp4v'), 25, size[::-1])
    for kind in ('JPEG', 'PNG'):
        inputs[kind].mkdir()
    for index, frame in enumerate(make_frames(count, *size)):
        video.write(frame)
        cv2.imwrite(str(inputs['JPEG'] / f'{index:04d}.jpg'), frame)
        cv2.imwrite(str(inputs['PNG'] / f'{index:04d}.png'), frame)
    video.release()
    return inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, default=12, help='default: 12')
    parser.add_argument('--size', nargs=2, type=int, default=(1080, 1920), metavar=('HEIGHT', 'WIDTH'),
                        help='of the files (default: 1080 1920)')
    parser.add_argument('--network-size', type=int, default=360, metavar='N',
                        help='short side of the frames for the network (default: 360)')
    parser.add_argument('--rounds', type=int, default=3, help='default: 3')
    parser.add_argument('--seconds', type=float, default=150, help='for all rounds (default: 150)')
    parser.add_argument('--cores', type=int, help='CPU cores that the process may use (default: all)')
    parser.add_argument('--config', default='dvispp/dvispp_r18_synthetic')
    args = parser.parse_args()
    if args.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.cores])
    import torch

    from mmvc.apis import VideoSegInferencer, frame_reader
    from mmvc.apis.frame_reader import FrameReader
    from mmvc.apis.sources import open_sources
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    inferencer = VideoSegInferencer(args.config, stage='online', show_progress=False, device='cpu',
                                    size=args.network_size)

    def seconds(path: Path, ahead: bool, network: bool = True) -> tuple[float, float, float]:
        """Wall and CPU seconds of a segmentation (or of reading alone), and seconds that it waits for frames."""
        read_ahead, waiting = frame_reader.read_ahead, 0.

        def timed(items, *further):
            nonlocal waiting
            items = read_ahead(items, *further) if ahead else items
            while True:
                start = time.perf_counter()
                item = next(items, None)
                waiting += time.perf_counter() - start
                if item is None:
                    return
                yield item

        frame_reader.read_ahead = timed
        source, = open_sources(str(path))
        start, cpu_start = time.perf_counter(), time.process_time()
        frames = inferencer.stream(source) if network else iter(FrameReader(source))
        count = sum(1 for _ in frames)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        frame_reader.read_ahead = read_ahead
        assert count == args.frames
        return wall, cpu, waiting

    table = PrettyTable(['frames from', 'decoding, s', 'in turns, s', 'CPU', 'waiting', 'ahead, s', 'CPU ', 'waiting ',
                         'saved'], align='r')
    with tempfile.TemporaryDirectory() as folder, ProgressBars('rounds') as progress:
        inputs = write_inputs(Path(folder), args.frames, tuple(args.size))
        for _ in inferencer.stream(str(inputs['video']), max_frames=2):  # warm up
            pass
        done = []
        for kind, path in inputs.items():
            rounds = []
            for _ in progress.track(turns(args.rounds, args.seconds / len(inputs)), args.rounds, kind):
                rounds.append((seconds(path, ahead=False, network=False),
                               seconds(path, ahead=False), seconds(path, ahead=True)))
            done.append(len(rounds))
            decoding, in_turns, ahead = (min(form) for form in zip(*rounds))
            table.add_row([kind, f'{decoding[0]:.2f}', *(f'{value:.2f}' for value in (*in_turns, *ahead)),
                           f'{100 * (1 - ahead[0] / in_turns[0]):.0f} %'])
    print(table)
    print(f'{args.frames} frames of {args.size[1]} x {args.size[0]}, '
          f'best of {min(done)} to {max(done)} round(s) in turns, {len(os.sched_getaffinity(0))} core(s)')


if __name__ == '__main__':
    main()
