# Copyright (c) The mmvc contributors. All rights reserved.
"""Settings of the synthetic videos, and the random streams from which they are drawn."""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

# Stored with every dataset. Increase it when the same seed gives different pixels than before.
GENERATOR_VERSION = 1

_CUE_PROBS = ('context_prob', 'motion_prob', 'texture_prob', 'glimpse_prob')


@dataclass(frozen=True)
class SyntheticVideoConfig:
    """Settings of the generated videos. All lengths are fractions of the shorter side of the frame.

    Args:
        size (tuple[int, int]): Height and width of the frames in pixels, each >= 16.
        num_frames (int): Frames per video, >= 1.
        num_things (tuple[int, int]): Least and greatest number of things in a video, 0 <= least <= greatest <= 100.
        thing_radius (tuple[float, float]): Smallest and largest radius of a thing, 0 < smallest <= largest <= 1.
        camera_motion (float): Factor on pan, zoom, roll and shake, >= 0; with 0 the camera does not move.
        lighting_change (float): Factor on the variation of the light in time and over the frame, >= 0; with 0 the
            light is constant.
        noise (float): Standard deviation of the sensor noise in grey levels (of 255), >= 0.
        leave_and_return (bool): Whether one thing of every video with 8 frames or more leaves the frame and returns.
            Other things may do so as well.
        void_boundary (int): Width in pixels of the void line between neighbouring segments; 0 draws none.
        void_blob_prob (float): Probability that an unlabelled object (void) moves through the video.
        context_prob (float): Probability that only the surroundings reveal a thing's class: a ``'kite'`` above the
            horizon then looks the same as a ``'crate'`` below it.
        motion_prob (float): Probability that only the motion reveals a thing's class: a ``'ball'`` that moves up and
            down then looks, in a single frame, the same as a ``'ring'`` that moves from side to side.
        texture_prob (float): Probability that a thing has the colours and the pattern of another class, so that only
            its outline reveals its class.
        glimpse_prob (float): Probability that a thing shows its class in one frame of four only, at random times. In
            all others it is a plain disc, whatever its class. The four probabilities sum to 1 at most.
        occlusion_prob (float): Probability that a thing has a companion: a thing of another class that follows it and
            moves back and forth in front of it.
        imbalance (float): Factor on the frequency of the first thing class relative to that of the last one, >= 1.
    """
    size: tuple[int, int] = (128, 192)
    num_frames: int = 16
    num_things: tuple[int, int] = (4, 7)
    thing_radius: tuple[float, float] = (0.16, 0.30)
    camera_motion: float = 1.0
    lighting_change: float = 1.0
    noise: float = 5.0
    leave_and_return: bool = True
    void_boundary: int = 1
    void_blob_prob: float = 0.5
    context_prob: float = 0.0
    motion_prob: float = 0.0
    texture_prob: float = 0.0
    glimpse_prob: float = 0.0
    occlusion_prob: float = 0.0
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        def check(name: str, valid: bool, expected: str) -> None:
            if not valid:
                raise UsageError(f'SyntheticVideoConfig.{name} = {getattr(self, name)!r}: expected {expected}')

        for name in ('size', 'num_things', 'thing_radius'):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # config files and JSON have lists
            check(name, len(getattr(self, name)) == 2, 'two numbers')
        check('size', all(isinstance(side, int) and side >= 16 for side in self.size),
              'height and width in pixels, whole numbers of 16 or more')
        check('num_things', 0 <= self.num_things[0] <= self.num_things[1] <= 100,
              'two numbers with 0 <= least <= greatest <= 100 (VIPSeg has ids for 100 instances of a class)')
        check('thing_radius', 0 < self.thing_radius[0] <= self.thing_radius[1] <= 1,
              'two numbers with 0 < smallest <= largest <= 1')
        def check_own(name: str, low: float, high: float = math.inf, whole: bool = False) -> None:
            check_number(f'SyntheticVideoConfig.{name}', getattr(self, name), low, high, whole)

        check_own('num_frames', 1, whole=True)
        check_own('void_boundary', 0, whole=True)
        check_own('imbalance', 1)
        for name in ('camera_motion', 'lighting_change', 'noise'):
            check_own(name, 0)
        for name in ('void_blob_prob', *_CUE_PROBS, 'occlusion_prob'):
            check_own(name, 0, 1)
        check(_CUE_PROBS[-1], sum(getattr(self, name) for name in _CUE_PROBS) <= 1 + 1e-9,
              f'{", ".join(_CUE_PROBS[:-1])} and {_CUE_PROBS[-1]} that sum to 1 at most')
        check('occlusion_prob', self.occlusion_prob == 0 or self.num_things[1] <= 50,
              '0, or num_things of at most 50 (together with companions, 100 at most)')


def random_stream(seed: int, split: str, index: int, *purpose: object) -> np.random.Generator:
    """Make the random generator for one purpose in one video.

    A stream depends only on the arguments: not on the number of videos, nor on the order in which they are made. A
    draw added for one purpose (say ``'camera'``) does not change the streams of other purposes.

    Args:
        seed (int): Seed of the dataset, >= 0.
        split (str): Name of the split, such as ``'train'``.
        index (int): Number of the video in its split, >= 0.
        purpose (object): Names and numbers that identify the stream within the video.

    Returns:
        np.random.Generator: A fresh generator.

    Raises:
        ValueError: If ``seed`` or ``index`` is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f'seed and video index must be 0 or more, got seed={seed}, index={index}')
    words = [zlib.crc32(str(word).encode()) for word in (split, *purpose)]
    return np.random.default_rng([seed, index, *words])
