# Copyright (c) The mmvc contributors. All rights reserved.
"""The job behind the page: files that a browser plays, tables, progress, and its end by a click."""

import csv
import threading
import zipfile

import cv2
import numpy as np
import pytest

from mmvc.page.job import OUTPUTS, Cancelled, run_job
from mmvc.page.tables import CLASS_COLUMNS, TRACK_COLUMNS
from mmvc.utils.errors import UsageError


@pytest.fixture
def out(tmp_path):
    (tmp_path / 'job').mkdir()
    return tmp_path / 'job'


def frames_of(path):
    av = pytest.importorskip('av')
    with av.open(str(path)) as container:
        stream, = container.streams.video
        assert stream.codec_context.name == 'h264' and stream.codec_context.pix_fmt == 'yuv420p'
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(stream)]


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_files_and_tables(inferencer, clip, out, task):
    result = run_job(inferencer(task), clip, 'overlay', out, score_thr=0.)
    assert len(frames_of(result.video)) == 12
    areas = sum(row[1] for row in result.classes)
    assert result.classes and all(len(row) == len(CLASS_COLUMNS) and 1 <= row[2] <= 12 for row in result.classes)
    if task != 'vis':  # instances overlap
        assert areas <= 100.1
    if task == 'vss':
        assert areas == pytest.approx(100, abs=0.1) and not result.tracks and 'tracks' not in result.summary
    else:
        assert result.tracks and all(len(row) == len(TRACK_COLUMNS) for row in result.tracks)
        assert all(0 <= first <= last <= 11 and count <= last - first + 1 and 0 <= score <= 1
                   for _, _, count, first, last, _, score in result.tracks)
    assert result.summary.startswith(f'12 frames of 96x64, {len(result.classes)} classes')


def test_the_archive_has_all_results(inferencer, clip, out, tmp_path):
    result = run_job(inferencer('vps'), clip, 'overlay', out)
    assert result.archive.name == 'street.zip'
    with zipfile.ZipFile(result.archive) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / 'unpacked')
    folder = tmp_path / 'unpacked/street'
    assert (folder / 'street.mp4').read_bytes() == result.video.read_bytes()
    assert len(list((folder / 'masks').rglob('*.png'))) == 12 and (folder / 'street.json').is_file()
    assert not [path for path in folder.rglob('*') if path.name.startswith('.')]
    for name, columns, rows in (('classes', CLASS_COLUMNS, result.classes), ('tracks', TRACK_COLUMNS, result.tracks)):
        with open(folder / f'{name}.csv', newline='') as file:
            found = list(csv.reader(file))
        assert found == [list(columns), *([str(cell) for cell in row] for row in rows)]


def test_kinds_of_output(inferencer, clip, tmp_path):
    model, videos = inferencer('vss'), {}
    for kind in OUTPUTS:
        (tmp_path / kind).mkdir()
        videos[kind] = frames_of(run_job(model, clip, kind, tmp_path / kind).video)
    source = frames_of(clip)
    assert videos['overlay'][0].shape[1] == 96 and videos['side_by_side'][0].shape[1] == 192
    left = videos['side_by_side'][5][:64, :96].astype(int)
    assert np.abs(left - source[5]).mean() < 12  # the frame itself, compressed twice
    assert np.abs(videos['masks'][5][:64].astype(int) - source[5]).mean() > np.abs(
        videos['overlay'][5][:64].astype(int) - source[5]).mean()
    with pytest.raises(UsageError, match='output must be one of overlay, side_by_side, masks'):
        run_job(model, clip, 'hologram', tmp_path)


def test_progress(inferencer, clip, out):
    reports = []
    run_job(inferencer('vps'), clip, 'overlay', out, lambda *report: reports.append(report))
    steps = list(dict.fromkeys(description for description, _, _ in reports))
    assert [step for step in steps if 'segment' in step] and steps[-1] == 'pack the results'
    for step in steps[:-1]:
        done = [report[1] for report in reports if report[0] == step]
        assert done == sorted(done) and done[0] == 0


def test_reports_are_few(inferencer, clip, out, monkeypatch):
    """Each one travels to the browser."""
    reports = []
    monkeypatch.setattr('mmvc.page.job._INTERVAL', 1e6)
    run_job(inferencer('vss'), clip, 'overlay', out, lambda *report: reports.append(report))
    steps = {description for description, _, _ in reports}
    assert len(reports) <= 2 * len(steps)


@pytest.mark.parametrize('step', ['segment', 'decode', 'pack'])
def test_cancel(inferencer, clip, out, step, monkeypatch):
    """At any step; nothing stays behind but the folder of the job."""
    cancelled = threading.Event()
    monkeypatch.setattr('mmvc.page.job._INTERVAL', 0.)

    def show(description, done, total):
        if step in description and (done == 3 or step == 'pack'):
            cancelled.set()

    with pytest.raises(Cancelled):
        run_job(inferencer('vss'), clip, 'overlay', out, show, cancelled)
    assert not list(out.glob('*.zip')) or step == 'pack'
    assert step == 'pack' or not list(out.rglob('*.mp4'))


def test_in_a_thread(inferencer, clip, out):
    """Gradio runs handlers in threads, and not always in the one that loaded the model."""
    results, model = [], inferencer('vis')
    thread = threading.Thread(target=lambda: results.append(run_job(model, clip, 'overlay', out)))
    thread.start()
    thread.join(60)
    assert results and len(frames_of(results[0].video)) == 12


def test_only_the_first_frames(inferencer, clip, out):
    result = run_job(inferencer(), clip, 'overlay', out, max_frames=5)
    assert len(frames_of(result.video)) == 5 and result.summary.endswith('stopped after 5 frames (--max-frames)')


def test_a_damaged_end_of_a_recording(inferencer, clip, out, tmp_path):
    """What a camera leaves when the tab is closed: a container without an index."""
    av = pytest.importorskip('av')
    with av.open(str(clip)) as source, av.open(str(tmp_path / 'camera.webm'), 'w') as target:
        stream = target.add_stream('libvpx', rate=12, width=96, height=64, pix_fmt='yuv420p')
        for frame in source.decode(video=0):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    content = (tmp_path / 'camera.webm').read_bytes()
    (tmp_path / 'camera.webm').write_bytes(content[:len(content) * 9 // 10])
    result = run_job(inferencer(), tmp_path / 'camera.webm', 'overlay', out)
    assert 5 <= len(frames_of(result.video)) <= 12


def test_what_is_no_video(inferencer, out, tmp_path):
    (tmp_path / 'page.mp4').write_text('<html>')
    cv2.imwrite(str(tmp_path / 'photo.png'), np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(UsageError, match='page.mp4'):
        run_job(inferencer(), tmp_path / 'page.mp4', 'overlay', out)
    with pytest.raises(UsageError, match='"photo.png" is a picture: choose a video'):
        run_job(inferencer(), tmp_path / 'photo.png', 'overlay', out)
