# Copyright (c) The mmvc contributors. All rights reserved.
"""The network sees frames of the wanted size; the results have the size of the video."""

import argparse

import numpy as np
import pytest
from mmengine.config import ConfigDict

from mmvc.apis.network_size import check_size, parse_size, resize_frames
from mmvc.utils.errors import UsageError

RESIZE = dict(type='mmdet.Resize', scale=(96, 64), keep_ratio=True)


@pytest.mark.parametrize('size, expected', [(None, (64, 94)), (40, (40, 59)), ((64, 32), (32, 64)), (120, (120, 176))])
def test_what_the_network_sees(make_inferencer, frames, size, expected):
    inferencer, seen = make_inferencer(size=size), []
    inferencer.model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-2:]))
    prepare = inferencer._prepare
    inferencer._prepare = lambda window: seen.append(prepare(window)[0].shape[-2:]) or prepare(window)
    result, = inferencer(frames[:2])
    assert tuple(seen[0]) == expected
    assert result.size == (75, 110) and result.class_maps().shape == (2, 75, 110)


def test_a_portrait_has_its_short_side(make_inferencer, frames):
    inferencer, seen = make_inferencer(size=40), []
    prepare = inferencer._prepare
    inferencer._prepare = lambda window: seen.append(prepare(window)[0].shape[-2:]) or prepare(window)
    inferencer([np.rot90(frame).copy() for frame in frames[:1]])
    assert tuple(seen[0]) == (59, 40)


def types_of(transforms):
    return [(transform['type'], types_of(transform['transforms'])) if 'transforms' in transform else transform['type']
            for transform in transforms]


def test_pipelines():
    pack = dict(type='PackVideoSegInputs')
    nested = [ConfigDict(type='TransformBroadcaster', transforms=[RESIZE, dict(type='Pad'), dict(RESIZE)]), pack]
    before = types_of(nested)
    found = resize_frames(nested, 40)
    assert types_of(found) == [('TransformBroadcaster', ['mmdet.Resize', 'Pad']), 'PackVideoSegInputs']
    assert found[0].transforms[0].keep_ratio and found[0].transforms[0].scale[1] == 40
    assert types_of(nested) == before
    found = resize_frames([ConfigDict(pack)], (64, 32))
    assert types_of(found) == [('TransformBroadcaster', ['mmdet.Resize']), 'PackVideoSegInputs']
    assert found[0].transforms[0].scale == (64, 32) and not found[0].transforms[0].keep_ratio
    assert types_of(resize_frames([ConfigDict(type='mmseg.ResizeShortestEdge', scale=3, max_size=9)], 40)) == [
        'mmdet.Resize']


def test_sizes_on_the_command_line():
    assert parse_size('480') == 480 and parse_size('854x480') == (854, 480) == parse_size('854X480')
    for text in ('0', '15', 'x480', '480x', '1x480', '99999', 'hd', '-480', '480x480x3'):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_size(text)


@pytest.mark.parametrize('size', [0, 1.5, '480', (480, ), (480, 'x'), True, (10**9, 480)])
def test_sizes_are_checked(make_inferencer, size):
    with pytest.raises(UsageError, match='size'):
        check_size(size)
    with pytest.raises(UsageError, match='size'):
        make_inferencer(size=size)
