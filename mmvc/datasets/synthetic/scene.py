# Copyright (c) The mmvc contributors. All rights reserved.
"""The contents of a video, drawn once per video: the layout of the stuff regions, and the things."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .classes import STUFF, UNLABELLED, ThingClass
from .config import SyntheticVideoConfig
from .motion import PATHS, Excursion, Path, wave
from .textures import draw_colour, sprite

SPRITE_REACH = 1.1  # a little more than the outline, so that interpolation never leaves the sprite


class StuffLayout:
    """Sky, a skyline of buildings below it, and the ground, with or without water on it.

    The borders between the regions are heights, tabulated over the x axis of the world. The class of a pixel is
    looked up in these tables.

    Args:
        rng (np.random.Generator): Source of randomness.
    """
    half_width = 8.0
    resolution = 512  # table entries per unit

    def __init__(self, rng: np.random.Generator) -> None:
        self._classes = {stuff.name: i for i, stuff in enumerate(STUFF)}
        x = np.arange(-self.half_width, self.half_width, 1 / self.resolution)
        horizon = rng.uniform(-0.25, 0.08)
        self._ground = horizon + self._hills(rng, x, 0.06)
        self._roof, self._facade = self._skyline(rng, x)
        kind = rng.choice(['shore', 'river', 'lake', 'none'], p=[.4, .25, .2, .15])
        self._water_top, self._water_bottom = np.full((2, x.size), np.inf)
        if kind in ('shore', 'river'):
            self._water_top = horizon + rng.uniform(0.12, 0.3) + self._hills(rng, x, 0.07)
        if kind == 'river':
            self._water_bottom = self._water_top + rng.uniform(0.15, 0.25) + self._hills(rng, x, 0.04)
        if kind == 'lake':
            inside = np.sqrt(np.clip(1 - ((x - rng.uniform(-0.4, 0.4)) / rng.uniform(0.4, 0.8))**2, 0, None))
            middle, depth = horizon + rng.uniform(0.25, 0.4), rng.uniform(0.1, 0.16)
            self._water_top, self._water_bottom = middle - depth * inside, middle + depth * inside

    @staticmethod
    def _hills(rng: np.random.Generator, x: np.ndarray, height: float) -> np.ndarray:
        """Draw a smooth curve of about the given height over ``x``."""
        curve = np.zeros_like(x)
        for i in range(1, 4):
            curve += height / i * rng.uniform(0.3, 1) * np.sin(x * rng.uniform(1.5, 3) * i + rng.uniform(0, 7))
        return curve

    def _skyline(self, rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw the height of the roofs over ``x`` (+inf where there is no building) and the facades' brightness."""
        widths = rng.uniform(0.18, 0.5, 100)
        house = np.searchsorted(np.cumsum(widths) - self.half_width, x)
        heights = np.where(rng.random(100) < rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.4, 100), -np.inf)
        return self._ground - heights[house], rng.uniform(0.75, 1.2, 100)[house]

    def horizon(self, x: float) -> float:
        """Return the y coordinate of the horizon at ``x``: the ground is below it, sky and buildings above."""
        column = int((x + self.half_width) * self.resolution)
        return float(self._ground[min(max(column, 0), self._ground.size - 1)])

    def lookup(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return class and brightness at points of the world.

        Args:
            x (ndarray): x coordinates, (h, w).
            y (ndarray): y coordinates, (h, w).

        Returns:
            tuple: Index into ``STUFF``, uint8 (h, w), and factor on the colour, float32 (h, w).
        """
        column = ((x + self.half_width) * self.resolution).astype(np.int32).clip(0, self._ground.size - 1)
        ground, built = y >= self._ground[column], y >= self._roof[column]
        water = ground & (y >= self._water_top[column]) & (y < self._water_bottom[column])
        labels = np.full(x.shape, self._classes['sky'], np.uint8)
        labels[built] = self._classes['building']
        labels[ground] = self._classes['ground']
        labels[water] = self._classes['water']
        brightness = np.where(labels == self._classes['building'], self._facade[column], 1)
        return labels, brightness.astype(np.float32)


@dataclass(frozen=True)
class Cover:
    """What hides the looks of a thing, but neither its place nor its motion, in most frames.

    Args:
        outline (Callable): ``(u, v) -> bool``, True inside.
        sprite (ndarray): Painted surface, uint8 (s, s, 3).
        lifted (frozenset[int]): The frames in which the thing shows its own looks.
    """
    outline: Callable
    sprite: np.ndarray
    lifted: frozenset[int]


@dataclass(frozen=True)
class Thing:
    """One object of a video.

    Args:
        instance_id (int): Identity, from 1; 0 for an unlabelled object.
        label (int): Class index, ``VOID_LABEL`` for an unlabelled object.
        outline (Callable): ``(u, v) -> bool``, True inside.
        sprite (ndarray): Painted surface, uint8 (s, s, 3).
        stretch (ndarray): Horizontal and vertical scale of the extent, (2,), at most 1.
        radius (Callable): Radius as a function of the frame number.
        path (Callable): Position in the world as a function of the frame number.
        angle (Callable): Rotation in radians as a function of the frame number.
        looks_ahead (bool): Whether it is mirrored while it moves to the left.
        excursion (Excursion, optional): Times at which it is outside the frame.
        cue (str): The only cue to its class, a key of ``cues.CUES``; empty for a thing that looks like its class.
        cover (Cover, optional): Hides its looks in most frames.
    """
    instance_id: int
    label: int
    outline: Callable
    sprite: np.ndarray
    stretch: np.ndarray
    radius: Callable[[int], float]
    path: Path
    angle: Callable[[int], float]
    looks_ahead: bool
    excursion: Excursion | None
    cue: str = ''
    cover: Cover | None = None

    def looks(self, t: int) -> tuple[Callable, np.ndarray]:
        """Return the outline and the painted surface that it shows at frame ``t``."""
        shown = self if self.cover is None or t in self.cover.lifted else self.cover
        return shown.outline, shown.sprite

    def mirrored(self, t: int) -> bool:
        """Return whether it is mirrored at frame ``t``."""
        return self.looks_ahead and self.path(t + 1)[0] < self.path(t)[0]


@dataclass(frozen=True)
class ThingSampler:
    """Draws one object of a video, once its class is chosen.

    Args:
        rng (np.random.Generator): Source of randomness.
        instance_id (int): Instance id of the object, from 1; 0 for an unlabelled one.
        leaves (bool): Whether the object leaves the frame and returns.
        config (SyntheticVideoConfig): Size and number of the frames, range of radii.
    """
    rng: np.random.Generator
    instance_id: int
    leaves: bool
    config: SyntheticVideoConfig

    def sample(self, kind: ThingClass, label: int, stays: bool = False) -> Thing:
        """Draw the looks and the motion of the object. Draws from ``rng``, so a second call gives another object.

        Args:
            kind (ThingClass): Its looks, and the ways it moves.
            label (int): Its class index.
            stays (bool): Whether it stays in the frame, whatever ``leaves`` says. Defaults to False.

        Returns:
            Thing: The object.
        """
        rng, config = self.rng, self.config
        side = min(config.size)
        half = np.array([config.size[1], config.size[0]]) / side / 2
        base = float(np.exp(rng.uniform(*np.log(config.thing_radius))))
        pulse = wave(rng, rng.uniform(0, 0.25), (16, 40))
        first, second = draw_colour(rng, kind.colours), draw_colour(rng, kind.second)
        pixels = int(np.clip(2.6 * base * side, 16, 512))
        surface = sprite(rng, pixels, SPRITE_REACH, kind.pattern, np.stack([first, second]))
        longest = 1.0 if kind is not UNLABELLED else 0.6
        stretch = np.array([1.0, rng.uniform(0.8, 1.0) * longest])
        if kind.turning == 'spin':
            start, speed = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1]) * rng.uniform(0.02, 0.25)
            angle = lambda t: start + speed * t  # noqa: E731
        else:
            angle = wave(rng, rng.uniform(0.1, 0.45), (12, 36))
        return Thing(
            instance_id=self.instance_id,
            label=label,
            outline=kind.outline,
            sprite=surface,
            stretch=stretch,
            radius=lambda t: base * float(np.exp(pulse(t))),
            path=PATHS[rng.choice(kind.paths)](rng, half),
            angle=angle,
            looks_ahead=kind.turning == 'face',
            excursion=Excursion.sample(rng, config.num_frames) if self.leaves and not stays else None)
