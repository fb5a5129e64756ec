# Copyright (c) The mmvc contributors. All rights reserved.
"""Motion of camera, light and things, as functions of the frame number: frames can be rendered in any order.

World and view coordinates have their origin in the centre, x to the right and y down. The shorter side of the frame
has length 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

Path = Callable[[int], tuple[float, float]]


def wave(rng: np.random.Generator, amplitude: float, period: tuple[float, float]) -> Callable[[int], float]:
    """Draw a sine over the frame number, with a period (in frames) from the given range."""
    frequency, phase = 2 * np.pi / rng.uniform(*period), rng.uniform(0, 2 * np.pi)
    return lambda t: amplitude * float(np.sin(frequency * t + phase))


def reflect(position: float, limit: float) -> float:
    """Fold a coordinate into [-limit, limit], as if it bounced off walls."""
    folded = (position + limit) % (4 * limit)
    return (folded if folded <= 2 * limit else 4 * limit - folded) - limit


def bounce(rng: np.random.Generator, half: np.ndarray) -> Path:
    """Draw a straight path that bounces off the borders of the box [-half, half], with ``half`` (2,)."""
    start = rng.uniform(-half, half)
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.015, 0.05)
    velocity = speed * np.array([np.cos(angle), 0.6 * np.sin(angle)])
    return lambda t: (reflect(float(start[0] + velocity[0] * t), float(half[0])),
                      reflect(float(start[1] + velocity[1] * t), float(half[1])))


def hop(rng: np.random.Generator, half: np.ndarray) -> Path:
    """Draw a path that hops on a floor and bounces off the sides."""
    start, speed = rng.uniform(-half[0], half[0]), rng.choice([-1, 1]) * rng.uniform(0.015, 0.045)
    floor, height = rng.uniform(0.3, 1) * half[1], rng.uniform(0.15, 0.6)
    period, phase = rng.uniform(8, 16), rng.uniform(0, 1)
    return lambda t: (reflect(float(start + speed * t), float(half[0])),
                      float(floor - height * abs(np.sin(np.pi * (t / period + phase)))))


def sway(rng: np.random.Generator, half: np.ndarray) -> Path:
    """Draw a path that circles about a fixed point."""
    centre = rng.uniform(-half, half)
    across = wave(rng, rng.uniform(0.04, 0.3), (20, 50))
    down = wave(rng, rng.uniform(0.02, 0.15), (16, 40))
    return lambda t: (float(centre[0]) + across(t), float(centre[1]) + down(t))


PATHS: dict[str, Callable[[np.random.Generator, np.ndarray], Path]] = dict(bounce=bounce, hop=hop, sway=sway)


def shuttle(rng: np.random.Generator, half: np.ndarray, axis: int) -> Path:
    """Draw a path back and forth along one axis (0 = x, 1 = y), which a single frame does not reveal."""
    centre = rng.uniform(-0.8, 0.8, 2) * half
    swing = wave(rng, rng.uniform(0.15, 0.3), (8, 16))
    # a random phase along the other axis, too, so that positions have the same distribution for both axes
    aside = rng.uniform(0.15, 0.3) * np.sin(rng.uniform(0, 2 * np.pi))
    centre[1 - axis] += aside
    return lambda t: (float(centre[0]) + (swing(t) if axis == 0 else 0.0),
                      float(centre[1]) + (swing(t) if axis == 1 else 0.0))


@dataclass(frozen=True)
class Excursion:
    """Periodic absences of a thing from the frame.

    Args:
        centre (float): Frame number in the middle of the first absence.
        hold (float): Half the length of an absence, in frames.
        ramp (float): Number of frames that leaving takes, and that returning takes.
        period (float): Frames from one absence to the next.
        side (int): -1 if the thing leaves to the left, 1 if to the right.
    """
    centre: float
    hold: float
    ramp: float
    period: float
    side: int

    @classmethod
    def sample(cls, rng: np.random.Generator, num_frames: int) -> Optional['Excursion']:
        """Draw absences, the first of which fits into the video; None if the video has fewer than 8 frames."""
        if num_frames < 8:
            return None
        period = rng.uniform(30, 60)
        span = min(num_frames, period)
        centre = (span - 1) * rng.uniform(0.45, 0.55)
        hold = rng.uniform(0.6, 0.12 * span) if span > 10 else 0.6
        ramp = rng.uniform(0.6, 0.9) * (min(centre, span - 1 - centre) - hold)
        return cls(centre, hold, min(ramp, 6.0), period, int(rng.choice([-1, 1])))

    def share(self, t: int) -> float:
        """Return how far the thing has left at frame ``t``, in [0, 1]: 0 on its path, 1 outside the frame."""
        distance = abs((t - self.centre + self.period / 2) % self.period - self.period / 2)
        x = min(max((distance - self.hold) / self.ramp, 0.0), 1.0)
        return 1 - x * x * (3 - 2 * x)


class CameraMotion:
    """Camera with pan, zoom, roll and, in half of the videos, the shake of a hand-held camera.

    Args:
        rng (np.random.Generator): Source of randomness.
        num_frames (int): Frames of the video.
        strength (float): Factor on all motion.
    """

    def __init__(self, rng: np.random.Generator, num_frames: int, strength: float) -> None:
        self._pan_x = wave(rng, strength * rng.uniform(0.05, 0.35), (30, 80))
        self._pan_y = wave(rng, strength * rng.uniform(0.0, 0.08), (30, 80))
        self._zoom = wave(rng, strength * rng.uniform(0.0, 0.14), (30, 80))
        self._roll = wave(rng, strength * rng.uniform(0.0, 0.06), (30, 80))
        shake = strength * rng.uniform(0.003, 0.01) * (rng.random() < 0.5)
        self._shake = rng.normal(0, 1, (num_frames, 2)) * shake

    def pose(self, t: int) -> tuple[np.ndarray, float, float]:
        """Return the point in the centre of the view (2,), the zoom factor and the roll in radians at frame ``t``."""
        centre = np.array([self._pan_x(t), self._pan_y(t)]) + self._shake[t]
        return centre, float(np.exp(self._zoom(t))), self._roll(t)


class Light:
    """Light with exposure, colour, a brighter side, slow changes and, in a fifth of the videos, a sudden one.

    Args:
        rng (np.random.Generator): Source of randomness.
        num_frames (int): Frames of the video.
        strength (float): Factor on all variation.
    """

    def __init__(self, rng: np.random.Generator, num_frames: int, strength: float) -> None:
        self._exposure = strength * rng.normal(0, 0.12)
        self._change = wave(rng, strength * rng.uniform(0.02, 0.25), (20, 60))
        self._tint = strength * rng.normal(0, 0.05, 3)
        self._slope = strength * rng.uniform(-0.2, 0.2, 2)
        self._switch = (rng.integers(num_frames), strength * rng.choice([-0.3, 0.25]) * (rng.random() < 0.2))

    def gain(self, view_x: np.ndarray, view_y: np.ndarray, t: int) -> np.ndarray:
        """Return the factors on the colours at frame ``t``.

        Args:
            view_x (ndarray): x coordinates of the pixels, (h, w).
            view_y (ndarray): y coordinates of the pixels, (h, w).
            t (int): Frame number.

        Returns:
            ndarray: float32 (h, w, 3).
        """
        start, step = self._switch
        level = np.exp(self._exposure + self._change(t) + (step if t >= start else 0.0) + self._tint)
        slope = np.exp(self._slope[0] * view_x + self._slope[1] * view_y)
        return slope[..., None] * level.astype(np.float32)
