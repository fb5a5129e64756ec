# Copyright (c) The mmvc contributors. All rights reserved.
"""What one can set about the synthetic videos, and the random streams they are drawn from."""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

# Part of the parameters stored with a dataset: raise it when the same seed starts to give other pixels.
GENERATOR_VERSION = 1


@dataclass(frozen=True)
class SyntheticVideoConfig:
    """Settings of the generated videos. All lengths are shares of the shorter side of the frame.

    Args:
        size (tuple[int, int]): Height and width of the frames in pixels, each >= 16.
        num_frames (int): Frames per video, >= 1.
        num_things (tuple[int, int]): Fewest and most things of a video, 0 <= fewest <= most <= 100.
        thing_radius (tuple[float, float]): Smallest and largest radius of a thing, 0 < smallest <= largest <= 1.
        camera_motion (float): Factor on pan, zoom, roll and shake; 0 holds the camera still.
        lighting_change (float): Factor on the variation of the light in time and over the frame; 0 keeps it constant.
        noise (float): Standard deviation of the sensor noise in grey levels (of 255).
        leave_and_return (bool): Whether one thing of every video of 8 frames or more leaves the frame and comes back
            (others may do so as well).
        void_boundary (int): Width in pixels of the void line between neighbouring segments; 0 leaves it out.
        void_blob_prob (float): Probability that a thing of no class, void in the labels, moves through the video.
        context_prob (float): Probability that only the surroundings tell a thing's class: ``'kite'`` above the horizon
            and ``'crate'`` below it then look the same.
        motion_prob (float): Probability that only the motion tells a thing's class: ``'ball'`` up and down and
            ``'ring'`` from side to side then look the same in any single frame.
        texture_prob (float): Probability that a thing wears the colours and the pattern of another class, so that only
            its outline tells its class. The three probabilities sum to 1 at most.
        occlusion_prob (float): Probability that a thing has a companion, a further thing of another class that moves
            along with it and back and forth in front of it.
        imbalance (float): How many times as frequent the first class of things becomes relative to the last one, >= 1.
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
    occlusion_prob: float = 0.0
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        def check(name: str, valid: bool, expected: str) -> None:
            if not valid:
                raise UsageError(f'SyntheticVideoConfig.{name} = {getattr(self, name)!r}: expected {expected}')

        for name in ('size', 'num_things', 'thing_radius'):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists come from config files and JSON
            check(name, len(getattr(self, name)) == 2, 'two numbers')
        check('size', all(isinstance(side, int) and side >= 16 for side in self.size),
              'height and width in pixels, whole numbers of 16 or more')
        check('num_things', 0 <= self.num_things[0] <= self.num_things[1] <= 100,
              'fewest and most with 0 <= fewest <= most <= 100 (VIPSeg has no room for more instances of a class)')
        check('thing_radius', 0 < self.thing_radius[0] <= self.thing_radius[1] <= 1,
              'smallest and largest with 0 < smallest <= largest <= 1')
        def check_own(name: str, low: float, high: float = math.inf, whole: bool = False) -> None:
            check_number(f'SyntheticVideoConfig.{name}', getattr(self, name), low, high, whole)

        check_own('num_frames', 1, whole=True)
        check_own('void_boundary', 0, whole=True)
        check_own('imbalance', 1)
        for name in ('camera_motion', 'lighting_change', 'noise'):
            check_own(name, 0)
        for name in ('void_blob_prob', 'context_prob', 'motion_prob', 'texture_prob', 'occlusion_prob'):
            check_own(name, 0, 1)
        check('texture_prob', self.context_prob + self.motion_prob + self.texture_prob <= 1 + 1e-9,
              'context_prob, motion_prob and texture_prob that sum to 1 at most')
        check('occlusion_prob', self.occlusion_prob == 0 or self.num_things[1] <= 50,
              'at most 50 things where they may have companions')


def random_stream(seed: int, split: str, index: int, *purpose: object) -> np.random.Generator:
    """Return the random numbers of one purpose in one video.

    Streams depend on nothing else: neither on the number of videos nor on the order in which they are made, and a
    draw added for one purpose (say ``'camera'``) leaves all others as they were.

    Args:
        seed (int): Seed of the dataset, >= 0.
        split (str): Name of the split, such as ``'train'``.
        index (int): Number of the video in its split, >= 0.
        purpose (object): Names and numbers that tell the streams of a video apart.

    Returns:
        np.random.Generator: A fresh generator.

    Raises:
        ValueError: If ``seed`` or ``index`` is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f'seed and video index must be 0 or more, got seed={seed}, index={index}')
    words = [zlib.crc32(str(word).encode()) for word in (split, *purpose)]
    return np.random.default_rng([seed, index, *words])
