# Copyright (c) The mmvc contributors. All rights reserved.
"""A batch with inputs that cannot be read, and inputs that can be read once."""

import os
import threading

import cv2
import numpy as np
import pytest

from mmvc.apis.cli import main
from mmvc.apis.sources import Pipe, open_sources
from mmvc.utils.errors import UsageError


@pytest.fixture
def inputs(tmp_path, video_file, frame_folder, frames):
    """A text called mp4, an intact video, a video with a broken frame, a missing one, and an intact folder."""
    text, holes = tmp_path / 'text.mp4', tmp_path / 'holes'
    text.write_text('no video')
    holes.mkdir()
    for index, frame in enumerate(frames[:3]):
        cv2.imwrite(str(holes / f'{index}.png'), frame)
    (holes / '1.png').write_bytes(b'')
    return [str(path) for path in (text, video_file, holes, tmp_path / 'missing.mp4', frame_folder)]


def test_a_batch_goes_on(make_inferencer, inputs, tmp_path):
    out_dir = tmp_path / 'out'
    results = make_inferencer()(inputs, out_dir=out_dir, formats=['masks'], keep_going=True)
    assert [result.video for result in results] == ['text', 'clip_avi', 'holes', 'missing', 'clip']
    assert [result.num_frames for result in results] == [0, 8, 0, 0, 8]
    for result, part in zip(results, ('cannot be decoded', None, 'holes/1.png', 'does not exist', None)):
        assert (result.error is None) == (part is None) and (part or '') in (result.error or '')
    assert sorted(path.name for path in (out_dir / 'masks').iterdir()) == ['clip', 'clip_avi']


def test_without_it_the_first_broken_input_is_an_error(make_inferencer, inputs):
    with pytest.raises(UsageError, match='text.mp4'):
        make_inferencer()(inputs)
    with pytest.raises(UsageError, match='text.mp4'):  # nothing is left to go on with
        make_inferencer()([inputs[0], inputs[3]], keep_going=True)


def test_the_command_ends_with_a_summary(make_inferencer, inputs, tmp_path, capsys):
    make_inferencer()
    with pytest.raises(SystemExit) as caught:
        main([*inputs, '--weights', str(tmp_path / 'MinVIS.pth'), '--device', 'cpu', '--formats', 'masks',
              '--out-dir', str(tmp_path / 'out')])
    assert '3 of 5 inputs could not be segmented: text, holes, missing' in caught.value.code
    shown = capsys.readouterr()
    assert 'clip: 8 frames' in shown.out and 'clip_avi: 8 frames' in shown.out
    assert '2 of 5 inputs segmented, 3 failed' in shown.out
    assert shown.err.count('not segmented: ') == 3 and 'not segmented: missing: "' in shown.err


def test_a_pipe_is_a_video(make_inferencer, frames, tmp_path):
    path, pipe = tmp_path / 'clip.mkv', tmp_path / 'pipe'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 12, (110, 75))
    for frame in frames:
        writer.write(frame)
    writer.release()
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()), daemon=True)
    thread.start()
    open_sources(str(pipe))  # a first look takes nothing out of the pipe
    inferencer = make_inferencer('DVISOffline')
    result, = inferencer(str(pipe))
    thread.join(5)
    expected, = inferencer(str(path))
    assert result.video == 'pipe' and result.num_frames == len(frames)
    for frame, other in zip(result.frames, expected.frames):
        assert [segment.rle for segment in frame.segments] == [segment.rle for segment in other.segments]


def test_a_pipe_without_a_video(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(b'no video' * 1000), daemon=True).start()
    source, = open_sources(str(pipe))
    assert isinstance(source, Pipe)
    with pytest.raises(UsageError, match='the pipe .* cannot be decoded'):
        next(source.read())


def test_a_device_without_a_video():
    with pytest.raises(UsageError, match='"/dev/null" is a device without a video'):
        open_sources('/dev/null')


def test_arrays_in_a_batch(make_inferencer, frames):
    good, bad = np.stack(frames), np.zeros((2, 5))
    results = make_inferencer()([bad, good], keep_going=True)
    assert 'must have the shape' in results[0].error and len(results[1]) == 8


@pytest.mark.parametrize('name', ['x' * 300 + '.mp4', 'a\0b.mp4', 'a\nb.mp4'])
def test_names_that_no_file_can_have(make_inferencer, video_file, tmp_path, name):
    results = make_inferencer()([name, str(video_file)], out_dir=tmp_path / 'out', formats=['masks'], keep_going=True)
    assert results[0].error and [result.num_frames for result in results] == [0, 8]
    with pytest.raises(UsageError):
        open_sources(name)
