# Copyright (c) The mmvc contributors. All rights reserved.
"""The command, from arguments to files."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmvc.apis.cli import build_parser, main
from mmvc.apis.inferencer import VideoSegInferencer
from mmvc.apis.sources import Arrays
from tests.helpers.own_process import in_own_process
from tests.helpers.tiny_inference import tiny_config, vivid_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint that carries its config, as those of a training."""
    cfg = tiny_config('DVISOnline')
    path = tmp_path / 'online.pth'
    torch.save(dict(state_dict=vivid_model(cfg).state_dict(), meta=dict(cfg=cfg.pretty_text)), path)
    return str(path)


def test_writes_what_it_says(checkpoint, video_file, frame_folder, tmp_path, capsys):
    out_dir = tmp_path / 'out'
    main([str(video_file), str(frame_folder), '--weights', checkpoint, '--device', 'cpu', '--out-dir', str(out_dir),
          '--formats', 'overlay', 'official', '--max-frames', '4'])
    printed = capsys.readouterr().out
    assert '2 of 2 inputs segmented\n' in printed
    for name in ('clip', 'clip_avi'):
        assert f'{name}: 4 frames of 110x7' in printed
        assert f'overlay: {out_dir / name}.mp4' in printed and (out_dir / f'{name}.mp4').is_file()
        assert len(list((out_dir / 'vspw' / name).iterdir())) == 4


def test_every_option_reaches_the_inferencer(monkeypatch, video_file):
    """And all of them are those of the class, with the same defaults."""
    given = {}

    class Recorder:
        def __init__(self, *args, **kwargs):
            given['init'], given['kwargs'] = args, kwargs

        def __call__(self, inputs, **kwargs):
            given['call'] = dict(kwargs, inputs=inputs)
            return []

    monkeypatch.setattr('mmvc.apis.inferencer.VideoSegInferencer', Recorder)
    main([str(video_file)])
    assert given['init'] == (None, None, None, None, None, None, False, None)
    assert given['call'] == dict(
        inputs=str(video_file), out_dir='outputs', formats=['overlay'], online=False, fps=None, alpha=0.6,
        score_thr=0.3, stride=1, max_frames=None, skip_broken=False, return_frames=False,
        keep_going=True, skip_existing=False, side_by_side=False, legend=True)
    assert given['kwargs'] == dict(stage=None, size=None, backend=None, keyframe_interval=None)
    main([str(video_file), '--model', 'm', '--stage', 's', '--weights', 'w', '--device', 'd', '--window-size', '2',
          '--max-memory', '0.5', '--amp', 'bf16', '--compile', '--cfg-options', 'a.b=1', '--out-dir', 'o', '--formats',
          'rle', 'masks', '--online', '--fps', '5', '--opacity', '0.1', '--score-thr', '0.2', '--stride', '3',
          '--max-frames', '7', '--skip-broken', '--size', '640x360', '--skip-existing', '--side-by-side',
          '--no-legend', '--backend', 'torch', '--keyframe-interval', '3'])
    assert given['init'] == ('m', 'w', 'd', 2, 0.5, 'bf16', True, {'a.b': 1})
    assert given['kwargs'] == dict(stage='s', size=(640, 360), backend='torch', keyframe_interval=3)
    assert given['call'] == dict(
        inputs=str(video_file), out_dir='o', formats=['rle', 'masks'], online=True, fps=5, alpha=0.1, score_thr=0.2,
        stride=3, max_frames=7, skip_broken=True, return_frames=False, keep_going=True, skip_existing=True,
        side_by_side=True, legend=False)


@pytest.mark.parametrize('arguments, message', [
    (['no.mp4'], 'error: "no.mp4" does not exist'),
    (['VIDEO', '--model', 'mvc/dvispp_r18_camvit'], 'did you mean mvc/dvispp_r18_camvid'),
    (['VIDEO', '--weights', 'no.pth'], 'error: checkpoint "no.pth" does not exist'),
    (['VIDEO', '--weights', 'CHECKPOINT', '--device', 'toaster'], 'error: device "toaster"'),
])
def test_errors_take_one_line(arguments, message, video_file, checkpoint):
    arguments = [dict(VIDEO=str(video_file), CHECKPOINT=checkpoint).get(word, word) for word in arguments]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert message in caught.value.code and '\n' not in caught.value.code


@pytest.mark.parametrize('option, value', [
    ('--fps', 'nan'), ('--fps', '0'), ('--fps', '-3'), ('--fps', '1e9'), ('--max-memory', 'nan'),
    ('--max-memory', '-1'), ('--score-thr', '1.5'), ('--opacity', '7'), ('--stride', '0'), ('--stride', '1.5'),
    ('--max-frames', '0'), ('--window-size', 'x')])
def test_numbers_are_checked_when_they_are_read(option, value, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(['clip.mp4', option, value])
    assert f'argument {option}: it must' in capsys.readouterr().err


def test_broken_frames(frame_folder, checkpoint, tmp_path, capsys):
    (frame_folder / 'frame_2.png').write_bytes(b'')
    arguments = [str(frame_folder), '--weights', checkpoint, '--out-dir', str(tmp_path / 'out'), '--formats', 'masks',
                 '--device', 'cpu']
    with pytest.raises(SystemExit, match='frame_2.png.*--skip-broken'):
        main(arguments)
    assert not [path for path in (tmp_path / 'out').rglob('*') if path.is_file()]
    main([*arguments, '--skip-broken'])
    assert '7 frames of 110x75, 1 skipped' in capsys.readouterr().out
    assert sorted(path.stem for path in (tmp_path / 'out/masks/clip').iterdir()) == [
        f'frame_{index}' for index in range(8) if index != 2]


def test_both_commands_are_the_same(monkeypatch, capsys):
    """Help with examples, by each way of calling."""
    helps = []
    for run in (lambda: runpy.run_module('mmvc.apis', run_name='__main__'),
                lambda: runpy.run_path(str(ROOT / 'demo/video_demo.py'), run_name='__main__')):
        monkeypatch.setattr(sys, 'argv', ['demo/video_demo.py', '--help'])
        with pytest.raises(SystemExit):
            run()
        helps.append(capsys.readouterr().out)
    assert 'python -m mmvc.apis street.mp4 --model' in helps[0] and 'video_demo.py street.mp4 --model' in helps[1]
    assert build_parser('python -m mmvc.apis').format_help() == helps[0]


def test_ctrl_c_ends_a_recording(make_inferencer, frames, tmp_path):
    """What was seen is written; a second one would break it off."""

    def camera():
        for index in range(1000):
            if index == 4:
                os.kill(os.getpid(), signal.SIGINT)
            yield frames[index % 8]

    def record():
        before = signal.getsignal(signal.SIGINT)
        result, = make_inferencer('DVISOnline')(camera(), out_dir=tmp_path / 'out', formats=['overlay', 'masks'])
        assert signal.getsignal(signal.SIGINT) is before
        return result.num_frames, result.files

    num_frames, files = in_own_process(record)
    assert num_frames == 5 and len(list(files['masks'].iterdir())) == 5
    assert cv2.VideoCapture(str(files['overlay'])).get(cv2.CAP_PROP_FRAME_COUNT) == 5


@pytest.mark.slow  # starts Python twice
@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_leaves_no_complete_looking_file(checkpoint, frames, tmp_path, stop):
    source, out_dir = tmp_path / 'frames', tmp_path / 'out'
    source.mkdir()
    for index in range(3000):
        Image.fromarray(frames[index % 8]).save(source / f'{index}.bmp')
    command = [sys.executable, '-m', 'mmvc.apis', str(source), '--weights', checkpoint, '--out-dir', str(out_dir),
               '--formats', 'overlay', 'masks', 'rle', 'official', '--device', 'cpu', '--online']
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while len(list(out_dir.rglob('*.png'))) < 5 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(stop)
    _, errors = process.communicate()
    files = [path.relative_to(out_dir) for path in out_dir.rglob('*') if path.is_file()]
    if stop == signal.SIGINT:
        assert process.returncode == 130 and 'interrupted' in errors and not files
    assert all(any(part.startswith('.') for part in path.parts) for path in files)


def test_the_source_is_named(frames):
    with pytest.raises(Exception, match='frame 0 of my frames'):
        next(VideoSegInferencer(tiny_config(), device='cpu').stream(Arrays([np.zeros(3)], 'my frames')))
