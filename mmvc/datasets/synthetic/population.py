# Copyright (c) The mmvc contributors. All rights reserved.
"""Which things a video shows, from back to front."""

from collections.abc import Callable

import numpy as np

from mmvc.formats.label_maps import VOID_LABEL

from .classes import STUFF, THINGS, UNLABELLED, ThingClass
from .config import SyntheticVideoConfig
from .cues import CUES, draw_cue, with_companion
from .scene import StuffLayout, Thing, sample_thing


def class_frequencies(imbalance: float) -> np.ndarray:
    """Return the relative frequency of each class of things, summing to 1.

    Args:
        imbalance (float): Factor by which the first class gains on the last one, >= 1; those between, in geometric
            steps.
    """
    frequency = np.array([kind.frequency for kind in THINGS])
    frequency = frequency * imbalance**(-np.arange(len(THINGS)) / (len(THINGS) - 1))
    return frequency / frequency.sum()


def sample_things(stream: Callable[..., np.random.Generator], config: SyntheticVideoConfig,
                  layout: StuffLayout) -> list[Thing]:
    """Draw all objects of a video.

    Args:
        stream (Callable): ``(*purpose) -> np.random.Generator``, the random streams of the video.
        config (SyntheticVideoConfig): Settings.
        layout (StuffLayout): What is behind them.

    Returns:
        list[Thing]: From back to front. Identities are 1, 2, ... in another order.
    """
    rng = stream('things')
    frequency = class_frequencies(config.imbalance)
    count = int(rng.integers(config.num_things[0], config.num_things[1], endpoint=True))
    # the first are of different classes, so that few videos suffice to see all; then a class may come again
    distinct = rng.choice(len(THINGS), min(count, 3), replace=False, p=frequency)
    kinds = [*distinct, *rng.choice(len(THINGS), max(count - 3, 0), p=frequency)]
    leaves = rng.random(count) < 0.25
    leaves[:1] = True
    depth = rng.random(count)
    depth[:1] = rng.uniform(0.7, 1)  # the one that surely leaves shall be seen before and after
    half = np.array([config.size[1], config.size[0]]) / min(config.size) / 2
    things = []
    for i, kind in enumerate(kinds):

        def make(looks: ThingClass, kind: int, leaves: bool | None = None, i: int = i,
                 as_drawn: bool = bool(leaves[i])) -> Thing:
            leaves = as_drawn if leaves is None else leaves
            return sample_thing(stream('thing', i), looks, len(STUFF) + kind, i + 1,
                                leaves and config.leave_and_return, config)

        cue_stream = stream('cue', i)
        cue = draw_cue(cue_stream, config)
        things.append(CUES[cue](cue_stream, layout, make, half) if cue else make(THINGS[kind], int(kind)))
    order = list(np.argsort(depth, kind='stable'))
    things = _with_companions([things[i] for i in order], stream, config)
    rng = stream('void blob')
    if rng.random() < config.void_blob_prob:
        blob = sample_thing(stream('void blob', 0), UNLABELLED, VOID_LABEL, 0, False, config)
        things.insert(int(rng.integers(len(things) + 1)), blob)
    return things


def _with_companions(things: list[Thing], stream: Callable[..., np.random.Generator],
                     config: SyntheticVideoConfig) -> list[Thing]:
    """Put companions directly in front of some things."""
    together, identity = [], len(things)
    for host in things:
        together.append(host)
        rng = stream('companion', host.instance_id)
        if rng.random() < config.occlusion_prob:
            identity += 1

            def make(looks: ThingClass, kind: int, leaves: bool, identity: int = identity,
                     rng: np.random.Generator = rng) -> Thing:
                return sample_thing(rng, looks, len(STUFF) + kind, identity, leaves, config)

            together.append(with_companion(rng, host, make))
    return together
