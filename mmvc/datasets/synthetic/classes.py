# Copyright (c) The mmvc contributors. All rights reserved.
"""The classes of the synthetic videos, as tables of colours, texture, outline and motion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import shapes, textures
from .textures import ColourRange


@dataclass(frozen=True)
class StuffClass:
    """A stuff class.

    Args:
        name (str): Class name.
        palette (tuple[int, int, int]): RGB colour in drawn label maps.
        colours (tuple[ColourRange, ...]): Ranges of the base colour.
        texture (Callable): ``(rng, size, colour) -> uint8 (size, size, 3)``, a tileable texture.
        drift (tuple[float, float]): Horizontal and vertical motion of the texture per frame.
    """
    name: str
    palette: tuple[int, int, int]
    colours: tuple[ColourRange, ...]
    texture: Callable
    drift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class ThingClass:
    """A thing class.

    Args:
        name (str): Class name.
        palette (tuple[int, int, int]): RGB colour in drawn label maps.
        colours (tuple[ColourRange, ...]): Ranges of the first colour.
        second (tuple[ColourRange, ...]): Ranges of the second colour.
        outline (Callable): ``(u, v) -> bool``, True inside.
        pattern (Callable): ``(u, v) -> float``, fraction of the second colour.
        frequency (float): Relative frequency among the things.
        paths (tuple[str, ...]): Possible kinds of motion, keys of ``motion.PATHS``.
        turning (str): ``'spin'`` (rotates), ``'rock'`` (swings about the upright position) or ``'face'`` (rocks, and
            is mirrored to face the direction of motion).
    """
    name: str
    palette: tuple[int, int, int]
    colours: tuple[ColourRange, ...]
    second: tuple[ColourRange, ...]
    outline: Callable
    pattern: Callable
    frequency: float
    paths: tuple[str, ...]
    turning: str


# The colours of the classes overlap on purpose: a single pixel does not identify the class.
STUFF = (
    StuffClass('sky', (70, 130, 180), ((198, 222, .30, .65, .75, .95), (200, 230, .05, .15, .65, .9),
                                       (14, 36, .35, .6, .8, .95)), textures.clouds, (0.004, 0.0)),
    StuffClass('ground', (107, 142, 35), ((75, 115, .35, .7, .4, .7), (18, 40, .25, .45, .4, .65),
                                          (40, 55, .25, .5, .65, .9)), textures.grains),
    StuffClass('water', (0, 80, 200), ((195, 225, .45, .8, .35, .7), (160, 185, .3, .6, .35, .6),
                                       (200, 230, .1, .25, .4, .6)), textures.ripples, (0.012, 0.004)),
    StuffClass('building', (150, 100, 90), ((0, 20, .3, .6, .4, .7), (30, 45, .15, .35, .55, .85),
                                            (205, 230, .05, .2, .4, .7)), textures.windows),
)

_PALE: ColourRange = (40, 60, 0, .12, .85, 1)
_DARK: ColourRange = (200, 260, .1, .4, .1, .25)
_RED: ColourRange = (-8, 12, .75, .95, .7, 1)
_YELLOW: ColourRange = (46, 58, .7, .95, .85, 1)
_BLUE: ColourRange = (205, 230, .7, .95, .6, .95)

# A colour that is listed twice is twice as frequent.
THINGS = (
    ThingClass('ball', (220, 20, 60), (_RED, _RED, _BLUE), (_PALE,),
               shapes.disc, shapes.sectors, 0.18, ('hop', 'bounce'), 'spin'),
    ThingClass('crate', (139, 90, 43), ((24, 36, .5, .75, .45, .7),), (_DARK,),
               shapes.square, shapes.planks, 0.17, ('bounce', 'sway'), 'rock'),
    ThingClass('flower', (255, 105, 180), ((300, 335, .45, .8, .8, 1), (300, 335, .45, .8, .8, 1),
                                           (268, 290, .45, .7, .65, .9)), (_YELLOW, _DARK),
               shapes.petals, shapes.bullseye, 0.17, ('sway',), 'spin'),
    ThingClass('fish', (255, 165, 0), ((16, 32, .85, 1, .9, 1), (16, 32, .85, 1, .9, 1),
                                       (178, 192, .5, .8, .8, 1)), (_DARK,),
               shapes.fish, shapes.scales, 0.18, ('bounce', 'sway'), 'face'),
    ThingClass('kite', (148, 0, 211), ((95, 145, .7, .95, .5, .85), (95, 145, .7, .95, .5, .85), _BLUE), (_YELLOW,),
               shapes.diamond, shapes.quarters, 0.15, ('sway', 'bounce'), 'rock'),
    ThingClass('ring', (64, 64, 64), ((0, 360, 0, .12, .1, .25), (0, 360, 0, .12, .1, .25),
                                       (268, 290, .45, .7, .4, .7)), (_PALE,),
               shapes.ring, shapes.blocks, 0.15, ('bounce', 'hop'), 'spin'),
)

# An object without a class: it is void in the labels, moves, and occludes other objects.
UNLABELLED = ThingClass('', (0, 0, 0), ((0, 360, .1, .6, .25, .75),), (_DARK,), shapes.disc, shapes.plain, 0.0,
                        ('sway', 'bounce'), 'rock')

METAINFO: dict[str, Any] = dict(
    classes=tuple(c.name for c in STUFF + THINGS),
    palette=[c.palette for c in STUFF + THINGS],
    isthing=[0] * len(STUFF) + [1] * len(THINGS))
