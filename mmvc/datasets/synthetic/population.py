# Copyright (c) The mmvc contributors. All rights reserved.
"""Draws the things of a video, and their order from back to front."""

from collections.abc import Callable

import numpy as np

from mmvc.formats.label_maps import VOID_LABEL

from .classes import STUFF, THINGS, UNLABELLED
from .config import SyntheticVideoConfig
from .cues import CUES, companion, draw_cue
from .scene import StuffLayout, Thing, ThingSampler


def class_frequencies(imbalance: float) -> np.ndarray:
    """Return the relative frequencies of the thing classes; they sum to 1.

    Args:
        imbalance (float): Factor on the frequency of the first class relative to that of the last one, >= 1. The
            factors of the classes between them fall geometrically.
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
        layout (StuffLayout): Background of the video.

    Returns:
        list[Thing]: The objects from back to front. Their instance ids are 1, 2, ..., in no particular order.
    """
    rng = stream('things')
    frequency = class_frequencies(config.imbalance)
    count = int(rng.integers(config.num_things[0], config.num_things[1], endpoint=True))
    # the first three have different classes, so that a few videos show all classes; after that, classes may repeat
    distinct = rng.choice(len(THINGS), min(count, 3), replace=False, p=frequency)
    kinds = [*distinct, *rng.choice(len(THINGS), max(count - 3, 0), p=frequency)]
    leaves = rng.random(count) < 0.25
    leaves[:1] = True
    depth = rng.random(count)
    depth[:1] = rng.uniform(0.7, 1)  # this thing always leaves; near the front it is visible before and after
    half = np.array([config.size[1], config.size[0]]) / min(config.size) / 2
    things = []
    for i, kind in enumerate(kinds):
        sampler = ThingSampler(stream('thing', i), i + 1, bool(leaves[i]) and config.leave_and_return, config)
        cue_stream = stream('cue', i)
        cue = draw_cue(cue_stream, config)
        if cue:
            things.append(CUES[cue](cue_stream, layout, sampler, half))
        else:
            things.append(sampler.sample(THINGS[kind], len(STUFF) + int(kind)))
    order = list(np.argsort(depth, kind='stable'))
    things = _with_companions([things[i] for i in order], stream, config)
    rng = stream('void blob')
    if rng.random() < config.void_blob_prob:
        blob = ThingSampler(stream('void blob', 0), 0, False, config).sample(UNLABELLED, VOID_LABEL)
        things.insert(int(rng.integers(len(things) + 1)), blob)
    return things


def _with_companions(things: list[Thing], stream: Callable[..., np.random.Generator],
                     config: SyntheticVideoConfig) -> list[Thing]:
    """Insert companions directly in front of some things."""
    together, instance_id = [], len(things)
    for host in things:
        together.append(host)
        rng = stream('companion', host.instance_id)
        if rng.random() < config.occlusion_prob:
            instance_id += 1
            together.append(companion(host, ThingSampler(rng, instance_id, False, config)))
    return together
