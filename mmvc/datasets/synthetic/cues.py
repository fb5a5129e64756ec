# Copyright (c) The mmvc contributors. All rights reserved.
"""Things whose appearance does not give their class away; only the surroundings, the motion or the outline does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from . import shapes
from .classes import STUFF, THINGS
from .config import SyntheticVideoConfig
from .motion import PATHS, Path, shuttle, wave
from .scene import Cover, StuffLayout, Thing, ThingSampler
from .textures import ColourRange

FRAMES_PER_GLIMPSE = 4

_NAMES = [kind.name for kind in THINGS]
_ANY: tuple[ColourRange, ...] = ((0, 360, .2, .8, .35, .95), )
_MUTE: dict[str, Any] = dict(colours=_ANY, second=_ANY, turning='rock')  # common to all things of a cue
_ALL_PATHS = tuple(PATHS)
# The same appearance for both classes of a pair.
_CONTEXT_LOOK: dict[str, Any] = dict(_MUTE, outline=shapes.square, pattern=shapes.quarters)
_COVER_LOOK: dict[str, Any] = dict(_MUTE, outline=shapes.disc, pattern=shapes.plain)
_MOTION_LOOK: dict[str, Any] = dict(_MUTE, outline=shapes.disc, pattern=shapes.bullseye)


def hover(rng: np.random.Generator, half: np.ndarray, layout: StuffLayout, above: bool, radius: float) -> Path:
    """Draw a path that sways slightly about a point above or below the horizon.

    Args:
        rng (np.random.Generator): Source of randomness.
        half (ndarray): Half the extent of the frame in the world, (2,).
        layout (StuffLayout): Has the horizon.
        above (bool): Whether the path stays above the horizon.
        radius (float): Radius of the thing, and its least distance from the horizon where there is room for it.

    Returns:
        Path: Position in the world as a function of the frame number.
    """
    across, down = (wave(rng, rng.uniform(0.01, 0.04), (20, 50)) for _ in range(2))
    sign = -1 if above else 1
    for _ in range(30):
        x, y = rng.uniform(-0.85, 0.85, 2) * half
        if sign * (y - layout.horizon(x)) > radius:
            break
    else:  # a large thing in a narrow strip: as far from the horizon as the frame allows
        y = sign * 0.85 * half[1]
    return lambda t: (float(x) + across(t), float(y) + down(t))


def context_thing(rng: np.random.Generator, layout: StuffLayout, sampler: ThingSampler, half: np.ndarray) -> Thing:
    """Draw a thing that is a kite above the horizon and a crate below it."""
    above = bool(rng.random() < 0.5)
    kind = _NAMES.index('kite' if above else 'crate')
    looks = replace(THINGS[kind], **_CONTEXT_LOOK)
    thing = sampler.sample(looks, len(STUFF) + kind, stays=True)  # so that it does not cross the horizon
    return replace(thing, path=hover(rng, half, layout, above, thing.radius(0)), cue='context')


def motion_thing(rng: np.random.Generator, layout: StuffLayout, sampler: ThingSampler, half: np.ndarray) -> Thing:
    """Draw a thing that is a ball if it moves up and down, and a ring if it moves from side to side."""
    axis = int(rng.random() < 0.5)
    kind = _NAMES.index('ball' if axis else 'ring')
    looks = replace(THINGS[kind], **_MOTION_LOOK)
    thing = sampler.sample(looks, len(STUFF) + kind, stays=True)  # leaving the frame is a motion, too
    return replace(thing, path=shuttle(rng, half, axis), cue='motion')


def texture_thing(rng: np.random.Generator, layout: StuffLayout, sampler: ThingSampler, half: np.ndarray) -> Thing:
    """Draw a thing with the outline of its own class, and the colours and the pattern of another one."""
    kind, other = (int(i) for i in rng.choice(len(THINGS), 2, replace=False))
    worn = {name: getattr(THINGS[other], name) for name in ('colours', 'second', 'pattern')}
    return replace(sampler.sample(replace(THINGS[kind], **worn), len(STUFF) + kind), cue='texture')


def glimpse_thing(rng: np.random.Generator, layout: StuffLayout, sampler: ThingSampler, half: np.ndarray) -> Thing:
    """Draw a thing that looks like its class in a few frames, and like a plain disc in all others."""
    kind = int(rng.choice(len(THINGS)))
    # A path, a turn or a mirror image of the class's own would give the class away all the time.
    looks = replace(THINGS[kind], paths=_ALL_PATHS, turning='rock')
    thing = sampler.sample(looks, len(STUFF) + kind, stays=True)
    disc = sampler.sample(replace(looks, **_COVER_LOOK), len(STUFF) + kind)
    num_frames = sampler.config.num_frames
    lifted = rng.choice(num_frames, max(round(num_frames / FRAMES_PER_GLIMPSE), 1), replace=False)
    return replace(thing, cue='glimpse', cover=Cover(disc.outline, disc.sprite, frozenset(lifted.tolist())))


CUES: dict[str, Callable[..., Thing]] = dict(
    context=context_thing, motion=motion_thing, texture=texture_thing, glimpse=glimpse_thing)


def draw_cue(rng: np.random.Generator, config: SyntheticVideoConfig) -> str:
    """Draw the only cue to a thing's class: a key of ``CUES``, or empty if its appearance gives the class away."""
    value = rng.random()
    for cue in CUES:
        value -= getattr(config, f'{cue}_prob')
        if value < 0:
            return cue
    return ''


def companion(host: Thing, sampler: ThingSampler) -> Thing:
    """Draw a thing of another class that follows ``host`` and moves back and forth in front of it.

    Args:
        host (Thing): The thing that the companion hides at times.
        sampler (ThingSampler): Draws the companion.

    Returns:
        Thing: The companion.
    """
    rng = sampler.rng
    kind = int(rng.choice([i for i in range(len(THINGS)) if i != host.label - len(STUFF)]))
    thing = sampler.sample(THINGS[kind], len(STUFF) + kind, stays=True)
    aside, down = wave(rng, 1.3 * host.radius(0), (14, 40)), rng.uniform(-0.4, 0.4) * host.radius(0)
    scale = rng.uniform(0.7, 1.1)
    return replace(
        thing,
        radius=lambda t: scale * host.radius(t),
        path=lambda t: (host.path(t)[0] + aside(t), host.path(t)[1] + down),
        excursion=host.excursion)
