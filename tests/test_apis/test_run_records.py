# Copyright (c) The mmvc contributors. All rights reserved.
"""Runs that are repeated: what is complete is left alone, everything else is done."""

import json
import os
from contextlib import contextmanager

import cv2
import pytest
import torch

from mmvc.apis.cli import main
from mmvc.apis.run_records import RECORDS, digest
from mmvc.utils.choices import OUTPUT_FORMATS
from mmvc.utils.errors import UsageError


@pytest.fixture
def clips(tmp_path, frames):
    """Two videos of three frames, a folder and a file."""
    folder = tmp_path / 'clips/folder'
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames[:3]):
        cv2.imwrite(str(folder / f'{index}.png'), frame)
    file = tmp_path / 'clips/file.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 12, (110, 75))
    for frame in frames[3:6]:
        writer.write(frame)
    writer.release()
    return [folder, file]


@pytest.fixture
def run(make_inferencer, clips, tmp_path):
    """Segment the clips; returns which of them were really segmented."""
    made = {}

    def run(task='vss', model=None, formats=OUTPUT_FORMATS, **kwargs):
        key = task, str(model)
        made[key] = made.get(key) or make_inferencer('DVISOffline', task, **(model or {}))
        kwargs = dict(dict(skip_existing=True), **kwargs)
        results = made[key](clips, out_dir=tmp_path / 'out', formats=formats, **kwargs)
        run.results = results
        return [result.video for result in results if not result.is_earlier]

    return run


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_what_is_complete_is_left_alone(run, tmp_path, task):
    """Also after a run without the option; files for several videos list them all, in every order."""
    assert run(task, skip_existing=False) == ['folder', 'file']
    before, first = contents(tmp_path / 'out'), run.results
    assert run(task) == []
    assert contents(tmp_path / 'out') == before
    for earlier, result in zip(run.results, first):
        assert earlier.files == result.files and earlier.num_frames == result.num_frames == 3
        assert earlier.size == result.size != (0, 0) and 'from an earlier run' in repr(earlier)
        with pytest.raises(UsageError, match='from an earlier run'):
            earlier.to_table()
    (tmp_path / 'out/folder.mp4').unlink()
    assert run(task) == ['folder']
    after = contents(tmp_path / 'out')
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {'folder.mp4', f'{RECORDS}/folder.json'}
    (tmp_path / 'out/file.json').write_text('{}')
    assert run(task) == ['file']
    assert {name for name in after if contents(tmp_path / 'out')[name] != after[name]} <= {
        'file.mp4', f'{RECORDS}/file.json'}


def test_ids_are_those_of_the_videos(run, tmp_path):
    """YouTube-VIS numbers its videos in the order of the run."""
    run('vis', formats=['official'])
    results = tmp_path / 'out/youtube_vis/results.json'
    before = json.loads(results.read_text())
    (tmp_path / f'out/{RECORDS}/folder.json').unlink()
    assert run('vis', formats=['official']) == ['folder']
    assert json.loads(results.read_text()) == before and {track['video_id'] for track in before} == {1, 2}


def test_other_settings_are_another_result(run):
    formats = ['overlay', 'masks']
    half = {'model.feature_store': dict(dtype='float16')}
    for settings in (dict(), dict(alpha=0.5), dict(score_thr=0.5), dict(fps=3), dict(stride=2), dict(max_frames=2),
                     dict(side_by_side=True), dict(legend=False), dict(skip_broken=True),
                     dict(formats=['overlay', 'masks', 'rle']), dict(model=dict(size=40)),
                     dict(model=dict(cfg_options=half))):
        settings = dict(dict(formats=formats), **settings)
        assert run(**settings) == ['folder', 'file'], settings
        assert run(**settings) == [], settings


def test_a_part_of_the_formats_is_complete(run):
    assert run(formats=['masks', 'rle']) == ['folder', 'file']
    assert run(formats=['rle']) == []


def test_other_weights_are_another_result(run, make_inferencer, clips, tmp_path):
    run(formats=['masks'])
    other = make_inferencer('DVISOffline')
    with torch.no_grad():
        next(other.model.parameters()).add_(1e-3)
    results = other(clips, out_dir=tmp_path / 'out', formats=['masks'], skip_existing=True)
    assert not any(result.is_earlier for result in results)


def test_a_changed_source_is_segmented_again(run, clips):
    run(formats=['masks'])
    os.utime(clips[1], (1, 1))
    assert run(formats=['masks']) == ['file']
    (clips[0] / '2.png').unlink()
    assert run(formats=['masks']) == ['folder']


@pytest.mark.parametrize('content', [b'', b'{', b'[]', b'{"record": 1}', b'null', b'{"record": 99}', b'\xff'])
def test_a_damaged_record_is_none(run, tmp_path, content):
    run(formats=['masks'])
    (tmp_path / f'out/{RECORDS}/file.json').write_bytes(content)
    assert run(formats=['masks']) == ['file']


def test_an_interrupted_run_goes_on(run, monkeypatch):
    """Where it stopped; the outputs of other settings that it would have replaced do not count."""
    run(formats=['masks'])

    @contextmanager
    def interrupted(reader):
        if reader.source.name == 'file':
            raise KeyboardInterrupt
        yield

    with monkeypatch.context() as patch:
        patch.setattr('mmvc.apis.video_run.ended_by_interrupt', interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(formats=['masks'], stride=2)
    assert run(formats=['masks'], stride=2) == ['file']


def test_a_record_never_describes_other_outputs(run, monkeypatch):
    """A run that dies while it puts its outputs in place leaves none."""
    run(formats=['masks'])

    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mmvc.apis.run_records.RunRecords.write', die)
        with pytest.raises(KeyboardInterrupt):
            run(formats=['masks'], skip_existing=False)
    assert run(formats=['masks']) == ['folder']


def test_arrays_have_no_record(make_inferencer, frames, tmp_path):
    for _ in range(2):
        result, = make_inferencer()(frames[:2], out_dir=tmp_path / 'out', formats='rle', skip_existing=True)
        assert not result.is_earlier
    assert not (tmp_path / 'out' / RECORDS).exists()
    with pytest.raises(UsageError, match='out_dir'):
        make_inferencer()(frames[:2], skip_existing=True)


def test_the_command_says_so(make_inferencer, clips, tmp_path, capsys):
    make_inferencer()
    broken = tmp_path / 'clips/half.avi'
    broken.write_bytes(clips[1].read_bytes()[:2000])
    arguments = [*map(str, [*clips, broken]), '--weights', str(tmp_path / 'MinVIS.pth'), '--device', 'cpu',
                 '--formats', 'masks', '--out-dir', str(tmp_path / 'out'), '--skip-existing']
    for expected in ('2 of 3 inputs segmented, 1 failed', '0 of 3 inputs segmented, 2 complete before, 1 failed'):
        with pytest.raises(SystemExit, match='1 of 3 inputs could not be segmented: half'):
            main(arguments)
        assert expected in capsys.readouterr().out


def test_digest_of_every_kind_of_weight():
    model = torch.nn.BatchNorm1d(3).to(torch.bfloat16)
    before = digest(model, dict(a=1), 'fp16')
    assert before == digest(model, dict(a=1), 'fp16') != digest(model, dict(a=2), 'fp16')
    model.num_batches_tracked += 1
    assert before != digest(model, dict(a=1), 'fp16')
