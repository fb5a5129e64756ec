# Copyright (c) The mmvc contributors. All rights reserved.
"""Things whose looks do not tell their class: only their surroundings, their motion or their outline do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from . import shapes
from .classes import STUFF, THINGS
from .config import SyntheticVideoConfig
from .motion import Path, shuttle, wave
from .scene import StuffLayout, Thing
from .textures import ColourRange

_NAMES = [kind.name for kind in THINGS]
_ANY: tuple[ColourRange, ...] = ((0, 360, .2, .8, .35, .95), )
_MUTE: dict[str, Any] = dict(colours=_ANY, second=_ANY, turning='rock')  # what all things of a cue share
# The looks of both classes of a pair, whatever they look like elsewhere.
_CONTEXT_LOOK: dict[str, Any] = dict(_MUTE, outline=shapes.square, pattern=shapes.quarters)
_MOTION_LOOK: dict[str, Any] = dict(_MUTE, outline=shapes.disc, pattern=shapes.bullseye)


def hover(rng: np.random.Generator, half: np.ndarray, layout: StuffLayout, above: bool, radius: float) -> Path:
    """Draw a path, a slight swaying about a place, that stays above the horizon or below it.

    Args:
        rng (np.random.Generator): Source of randomness.
        half (ndarray): Half the extent of the frame in the world, (2,).
        layout (StuffLayout): Where the horizon is.
        above (bool): Whether above it.
        radius (float): Of the thing; it keeps away from the horizon by as much where there is room.

    Returns:
        Path: Place in the world by frame number.
    """
    across, down = (wave(rng, rng.uniform(0.01, 0.04), (20, 50)) for _ in range(2))
    sign = -1 if above else 1
    for _ in range(30):
        x, y = rng.uniform(-0.85, 0.85, 2) * half
        if sign * (y - layout.horizon(x)) > radius:
            break
    else:  # a large thing in a narrow strip: as far away from the horizon as the frame allows
        y = sign * 0.85 * half[1]
    return lambda t: (float(x) + across(t), float(y) + down(t))


def context_thing(rng: np.random.Generator, layout: StuffLayout, make: Callable[..., Thing],
                  half: np.ndarray) -> Thing:
    """A thing that is a kite above the horizon and a crate below it."""
    above = bool(rng.random() < 0.5)
    kind = _NAMES.index('kite' if above else 'crate')
    thing = make(replace(THINGS[kind], **_CONTEXT_LOOK), kind, leaves=False)  # not to cross the horizon
    return replace(thing, path=hover(rng, half, layout, above, thing.radius(0)), cue='context')


def motion_thing(rng: np.random.Generator, layout: StuffLayout, make: Callable[..., Thing],
                 half: np.ndarray) -> Thing:
    """A thing that is a ball if it moves up and down, and a ring if it moves from side to side."""
    axis = int(rng.random() < 0.5)
    kind = _NAMES.index('ball' if axis else 'ring')
    thing = make(replace(THINGS[kind], **_MOTION_LOOK), kind, leaves=False)  # leaving is a motion, too
    return replace(thing, path=shuttle(rng, half, axis), cue='motion')


def texture_thing(rng: np.random.Generator, layout: StuffLayout, make: Callable[..., Thing],
                  half: np.ndarray) -> Thing:
    """A thing with the outline of its own class, and the colours and the pattern of another one."""
    kind, other = (int(i) for i in rng.choice(len(THINGS), 2, replace=False))
    worn = {name: getattr(THINGS[other], name) for name in ('colours', 'second', 'pattern')}
    return replace(make(replace(THINGS[kind], **worn), kind), cue='texture')


CUES: dict[str, Callable[..., Thing]] = dict(context=context_thing, motion=motion_thing, texture=texture_thing)


def draw_cue(rng: np.random.Generator, config: SyntheticVideoConfig) -> str:
    """Draw what shall tell a thing's class: a key of ``CUES``, or empty for its looks."""
    value = rng.random()
    for cue in CUES:
        value -= getattr(config, f'{cue}_prob')
        if value < 0:
            return cue
    return ''


def with_companion(rng: np.random.Generator, host: Thing, make: Callable[..., Thing]) -> Thing:
    """A thing of another class that goes where ``host`` goes, and back and forth in front of it.

    Args:
        rng (np.random.Generator): Source of randomness.
        host (Thing): What it hides at times.
        make (Callable): ``(class, its index in THINGS, leaves) -> Thing``.

    Returns:
        Thing: The companion.
    """
    kind = int(rng.choice([i for i in range(len(THINGS)) if i != host.label - len(STUFF)]))
    thing = make(THINGS[kind], kind, leaves=False)
    aside, down = wave(rng, 1.3 * host.radius(0), (14, 40)), rng.uniform(-0.4, 0.4) * host.radius(0)
    scale = rng.uniform(0.7, 1.1)
    return replace(
        thing,
        radius=lambda t: scale * host.radius(t),
        path=lambda t: (host.path(t)[0] + aside(t), host.path(t)[1] + down),
        excursion=host.excursion)
