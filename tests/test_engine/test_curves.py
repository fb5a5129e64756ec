# Copyright (c) The mmvc contributors. All rights reserved.
import json

import cv2
import pytest

from mmvc.engine.curves import read_numbers, write_curves


def write(folder, name, entries, tail=''):
    path = folder / name / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, entries)) + tail)


@pytest.fixture
def work_dir(tmp_path):
    """A training of four steps that was killed after the third one and resumed at the second."""
    write(tmp_path, '20300101_000000', [dict(loss=float(9 - step), lr=0.1, step=step) for step in (1, 2, 3)],
          tail='\n{"loss": 1')
    write(tmp_path, '20300102_000000', [dict(loss=3.0, lr=0.1, step=3), dict(loss=2.0, lr=0.1, step=4),
                                        {'vss/mIoU': 40.0, 'time': 1.0, 'step': 4}])
    return tmp_path


def test_runs_are_joined(work_dir):
    train, metrics = read_numbers(work_dir)
    assert {step: entry['loss'] for step, entry in train.items()} == {1: 8, 2: 7, 3: 3, 4: 2}
    assert metrics == {'vss/mIoU': {4: 40}}


def test_the_picture(work_dir):
    write_curves(work_dir)
    picture = cv2.imread(str(work_dir / 'curves.png'))
    blue = (abs(picture.astype(int) - (180, 119, 31)) < 20).all(-1)  # the loss, and the metric on the right
    half = picture.shape[1] // 2
    assert blue[:, :half].sum() > 200 and blue[:, half:].sum() > 10
    assert [path.name for path in work_dir.glob('*.png')] == ['curves.png']


def test_nothing_is_drawn_of_a_single_loss(tmp_path):
    write(tmp_path, 'run', [dict(loss=1.0, lr=0.1, step=1)])
    write_curves(tmp_path)
    assert not list(tmp_path.glob('*.png'))


def test_a_picture_that_cannot_be_written_is_a_warning(work_dir, monkeypatch):
    (work_dir / 'curves.png').mkdir()
    messages = []
    monkeypatch.setattr('mmvc.engine.curves.print_log', lambda message, **kwargs: messages.append(message))
    write_curves(work_dir)
    assert len(messages) == 1 and 'curves.png" cannot be drawn' in messages[0]
