# Copyright (c) The mmvc contributors. All rights reserved.
"""Pictures of results: what is in them, and where they go."""

import io
import sys
import types

import cv2
import numpy as np
import pytest
from PIL import Image, ImageShow

from mmvc.apis.plotting import TILE_WIDTH, Preview
from mmvc.utils.errors import UsageError


@pytest.fixture(params=['vss', 'vps', 'vis'])
def segmented(request, make_inferencer, frames):
    inferencer = make_inferencer('DVISOffline', request.param)
    result, = inferencer(frames[:5])
    return result, list(inferencer.stream(frames[:5]))


def test_frames(segmented, frames):
    result, full = segmented
    image = cv2.cvtColor(frames[0], cv2.COLOR_BGR2RGB)
    picture = full[0].plot(score_thr=0.)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (110, 3) and picture.shape[0] > 75  # with a legend
    assert full[0].plot(score_thr=0., legend=False).shape == (75, 110, 3)
    assert np.array_equal(result[0].plot(image, score_thr=0.), picture)
    assert not np.array_equal(picture[:75], image)
    unseen = full[0].plot(score_thr=1.)
    assert np.array_equal(unseen[:75], image) == (result.task == 'vis')
    without_image = result[0].plot(score_thr=0.)
    assert without_image.shape == picture.shape and not np.array_equal(without_image, picture)


def test_contact_sheet(segmented):
    result, _ = segmented
    sheet = result.plot()
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 3 * TILE_WIDTH  # five frames in two rows
    assert sheet.shape[0] > 2 * round(75 * TILE_WIDTH / 110)
    assert result.plot(num_frames=1).shape[1] == TILE_WIDTH
    assert not np.array_equal(result.plot(score_thr=0.), result.plot(score_thr=1.)) or result.task != 'vis'


def test_a_segment(segmented):
    segment = segmented[0][0].segments[0]
    picture = segment.plot()
    assert picture.shape == (75, 110, 3) and np.array_equal(picture.any(-1), segment.mask)


def test_files_and_notebooks(segmented, tmp_path):
    result, full = segmented
    for item in (result, result[0], full[0], result[0].segments[0]):
        path = item.save(tmp_path / 'a/picture.png')
        assert np.array_equal(np.asarray(Image.open(path)), item.plot())
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(item._repr_png_()))), item.plot())
        assert Image.open(item.save(tmp_path / 'picture.JPG')).format == 'JPEG'
    with pytest.raises(UsageError, match='no suffix of a picture'):
        full[0].save(tmp_path / 'picture.mp4')


def test_show(segmented, monkeypatch):
    frame, shown = segmented[1][0], []
    monkeypatch.setattr(ImageShow, 'show', lambda image: shown.append(image) or True)
    frame.show()
    assert np.array_equal(np.asarray(shown[0]), frame.plot())
    monkeypatch.setattr(ImageShow, 'show', lambda image: False)
    with pytest.raises(UsageError, match='save'):
        frame.show()
    displayed = []
    monkeypatch.setitem(sys.modules, 'IPython',
                        types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1)))
    monkeypatch.setitem(sys.modules, 'IPython.display', types.SimpleNamespace(display=displayed.append))
    frame.show()
    assert len(displayed) == 1


@pytest.mark.parametrize('count', [1, 16, 17, 100])
def test_a_preview_is_small_and_even(count):
    preview = Preview(limit=16)
    for index in range(count):
        preview.add(np.full((20, 40, 3), index, np.uint8))
    keys = list(preview.images)
    assert len(keys) <= 16 and keys[0] == 0 and len(set(np.diff(keys))) <= 1 and keys[-1] > count - 17
    for index, image in preview.images.items():
        assert image.shape == (160, TILE_WIDTH, 3) and (image == index).all()
    chosen = preview.chosen(4)
    assert len(chosen) == min(4, count) and chosen[0] == 0 and chosen[-1] == keys[-1] and chosen == sorted(set(chosen))
