# Copyright (c) The mmvc contributors. All rights reserved.
"""Overlays: what is beside and below the frames, their sound, and what is said of them."""

import cv2
import numpy as np
import pytest

from mmvc.apis.frame_reader import FrameReader
from mmvc.apis.overlay_writer import OverlayWriter
from mmvc.apis.results import SkippedFrame
from mmvc.apis.sources import open_sources
from mmvc.apis.writer import WriterSettings
from tests.helpers.sounding_videos import heard, write_source
from tests.helpers.tiny_inference import CLASSES, PALETTE


def shape_of(path):
    video = cv2.VideoCapture(str(path))
    return int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(video.get(cv2.CAP_PROP_FRAME_WIDTH))


@pytest.fixture(scope='module')
def even():
    """Frames of even size, which a video holds without padding."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(3)]


def test_without_a_legend_it_is_as_high_as_the_frames(make_inferencer, even, tmp_path):
    inferencer = make_inferencer()
    sizes = {}
    for name, kwargs in (('legend', {}), ('none', dict(legend=False)), ('both', dict(side_by_side=True)),
                         ('beside', dict(side_by_side=True, legend=False))):
        result, = inferencer(even, out_dir=tmp_path / name, **kwargs)
        sizes[name] = shape_of(result.files['overlay'])
    assert sizes['none'] == (64, 96) and sizes['beside'] == (64, 192)
    assert sizes['legend'][0] > 64 and sizes['legend'][1] == 96
    assert 64 < sizes['both'][0] < sizes['legend'][0] and sizes['both'][1] == 192  # the legend has room


def test_what_is_beside(segmented):
    result, full = segmented
    settings = dict(task=result.task, classes=CLASSES, palette=PALETTE, score_thr=0., legend=False)
    alone, beside = (OverlayWriter(WriterSettings(None, side_by_side=side_by_side, **settings)).draw(full[0])
                     for side_by_side in (False, True))
    assert np.array_equal(beside[:, :110], cv2.cvtColor(full[0].image, cv2.COLOR_BGR2RGB))
    assert np.array_equal(beside[:, 110:], alone) and not np.array_equal(beside[:, :110], alone)


@pytest.fixture
def messages(monkeypatch):
    """What is logged of videos."""
    found = []
    for module in ('overlay_writer', 'video_run'):
        monkeypatch.setattr(f'mmvc.apis.{module}.print_log', lambda message, **kwargs: found.append(message))
    return found


def test_sound(make_inferencer, tmp_path, messages):
    """It is kept with a stride; with another speed, or skipped frames, a warning says that it is not."""
    pytest.importorskip('av')
    source, inferencer = write_source(tmp_path / 'source.mp4', seconds=3), make_inferencer()
    result, = inferencer(source, out_dir=tmp_path / 'a', stride=2)
    assert heard(result.files['overlay'])[1:] == pytest.approx((2, 3), abs=0.05) and not messages
    result, = inferencer(source, out_dir=tmp_path / 'b', fps=20)
    assert heard(result.files['overlay']) is None
    assert len(messages) == 1 and 'source.mp4 has no sound: the frames are not shown' in messages.pop()
    source, = open_sources(source)
    read = source.read
    source.read = lambda stride: (SkippedFrame(2, '2', 'broken') if frame.index == 2 else frame
                                  for frame in read(stride))
    reader = FrameReader(source, skip_broken=True)
    writer = OverlayWriter(WriterSettings(tmp_path / 'c', 'vss', CLASSES, PALETTE))
    with writer.open(inferencer._describe(reader, None)) as add:
        for frame in inferencer._frames(reader, False):
            add(frame)
    assert heard(tmp_path / 'c/source.mp4') is None
    assert messages == ['source.mp4 has no sound: frames were skipped']


@pytest.mark.parametrize('formats, said', [(['overlay'], True), (['masks', 'rle'], True), (['rle'], False)])
def test_nothing_to_draw(make_inferencer, even, tmp_path, messages, formats, said):
    """Of instances that are all below the threshold; the message has the best score."""
    inferencer = make_inferencer('DVISOffline', 'vis')
    result, = inferencer(even, out_dir=tmp_path / 'out', formats=formats, score_thr=1.)
    best = max(segment.score for frame in result for segment in frame)
    expected = [f'video: nothing is drawn, since the best score of an instance is {best:.2f} and those below 1 are '
                'left out (score_thr, --score-thr)']
    assert messages == (expected if said else [])
    messages.clear()
    inferencer(even, out_dir=tmp_path / 'out', formats=formats, score_thr=0.)
    assert not messages


def test_no_instance_at_all(make_inferencer, even, tmp_path, messages):
    inferencer = make_inferencer('DVISOffline', 'vis')
    post_process = inferencer.model.postprocessor.frames

    def without_masks(prediction):
        for sample in post_process(prediction):
            sample.pred_track_instances.masks[:] = False
            yield sample

    inferencer.model.postprocessor.frames = without_masks
    inferencer(even, out_dir=tmp_path / 'out')
    assert len(messages) == 1 and 'no instance was found' in messages[0]
