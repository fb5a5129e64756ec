# Copyright (c) The mmvc contributors. All rights reserved.
import csv
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmvc.challenge.aggregation.choice as choice_module
from mmvc.challenge.aggregation import aggregate_folders, estimate_motion, motion_consistency, warp_labels
from mmvc.datasets.synthetic import SyntheticVideoConfig, generate_video
from mmvc.utils.errors import UsageError

TOOL = Path(__file__).parents[3] / 'tools/aggregate.py'



@pytest.fixture(scope='module')
def sliding():
    """Six windows on a large picture that slide by 3 columns and 2 rows, with label maps of the same places."""
    rng = np.random.default_rng(0)
    picture = cv2.normalize(cv2.GaussianBlur(rng.random((110, 140)), (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    picture = picture.astype(np.uint8)
    labels = np.kron(rng.integers(0, 9, (11, 14)), np.ones((10, 10), int)).astype(np.uint8)
    places = [(slice(2 * t, 2 * t + 90), slice(3 * t, 3 * t + 110)) for t in range(6)]
    return [picture[place] for place in places], [labels[place] for place in places]


def test_labels_are_moved_to_where_the_image_went(sliding):
    images, labels = sliding
    motion = estimate_motion(images[0], images[1])
    # what enters at the right and at the bottom has no source
    assert not motion.valid[:, -2:].any() and not motion.valid[-1:].any()
    assert motion.valid[5:-5, 5:-5].mean() > 0.95
    warped = warp_labels(labels[0], motion)
    assert (warped == labels[1])[motion.valid].mean() > 0.97
    assert (labels[0] == labels[1])[motion.valid].mean() < 0.8, 'no motion: the test shows nothing'


def test_occluded_pixels_are_found():
    # a textured disc moves by 20 columns over a still ground; its front hides ground, its back uncovers some
    rng = np.random.default_rng(2)
    ground, disc = (cv2.normalize(cv2.GaussianBlur(rng.random((160, 220)), (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
                    for _ in range(2))
    frames, masks = [], []
    for t in range(2):
        mask = cv2.circle(np.zeros((160, 220), np.uint8), (90 + 20 * t, 80), 40, 1, -1).astype(bool)
        frames.append(np.where(mask, np.roll(disc, 20 * t, 1), ground).astype(np.uint8))
        masks.append(mask)
    valid = estimate_motion(*frames).valid
    uncovered = masks[0] & ~masks[1]
    still = ~cv2.dilate((masks[0] | masks[1]).astype(np.uint8), np.ones((21, 21))).astype(bool)
    assert valid[still].mean() > 0.98
    assert valid[uncovered].mean() < 0.75


def flickering(labels, share=0.3):
    """The same prediction, but in every second frame blocks of it have another class."""
    rng = np.random.default_rng(3)
    maps = []
    for t, label_map in enumerate(labels):
        height, width = label_map.shape
        wrong = cv2.resize((rng.random((6, 8)) < share).astype(np.uint8), (width, height),
                           interpolation=cv2.INTER_NEAREST).astype(bool)
        maps.append(np.where(wrong & bool(t % 2), (label_map + 1) % 9, label_map).astype(np.uint8))
    return maps


@pytest.mark.parametrize('treatment', ['classes', 'grey'])
def test_the_steady_prediction_scores_higher(sliding, treatment):
    images, labels = sliding
    frozen = [labels[0]] * len(labels)  # constant, but the image moves
    scores = motion_consistency(zip(images, zip(labels, flickering(labels), frozen)), treatment)
    assert scores.shape == (3, )
    assert scores[0] > 0.9
    margin = 0.05 if treatment == 'classes' else 0.02  # neighbouring indices look alike
    assert scores[0] > scores[1] + margin and scores[0] > scores[2] + margin


def test_flow_is_computed_once_for_all_models(sliding, monkeypatch):
    images, labels = sliding
    calls = []
    monkeypatch.setattr(choice_module, 'estimate_motion', lambda *pair: calls.append(1) or estimate_motion(*pair))
    three = motion_consistency(zip(images, zip(labels, flickering(labels), labels)))
    assert len(calls) == len(images) - 1
    alone = motion_consistency((image, [label_map]) for image, label_map in zip(images, labels))
    assert three[0] == three[2] == alone[0]


def test_images_may_have_another_size(sliding):
    images, labels = sliding
    large = [cv2.resize(image, None, fx=2, fy=2) for image in images]
    scores = motion_consistency(zip(large, zip(labels, flickering(labels))))
    assert scores[0] > 0.9 and scores[0] > scores[1]


def test_undefined_scores(sliding):
    images, labels = sliding
    assert np.isnan(motion_consistency([(images[0], [labels[0]] * 2)])).tolist() == [True, True]
    with pytest.raises(ValueError, match='one size'):
        motion_consistency(zip(images, zip(labels, [label_map[:-1] for label_map in labels])))


@pytest.fixture
def folders(tmp_path):
    """Synthetic videos: model "a" flickers in the first, model "b" in the second; the third has a single frame."""
    config = SyntheticVideoConfig(size=(64, 96), num_frames=5, void_boundary=0, noise=2.0)
    for index, (video, length) in enumerate([('one', 5), ('two', 5), ('single', 1)]):
        clip = generate_video(config, seed=0, index=index)
        truth = list(clip.sem[:length])
        for name in 'ab':
            bad = (name, video) in (('a', 'one'), ('b', 'two'))
            for t, label_map in enumerate(flickering(truth) if bad else truth):
                (tmp_path / name / video).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / name / video / f'{t:03d}.png'), label_map)
                (tmp_path / 'data' / video / 'origin').mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / 'data' / video / 'origin' / f'{t:03d}.jpg'), clip.frames[t])
    return dict(images=str(tmp_path / 'data/{video}/origin'), predictions=dict(a=tmp_path / 'a', b=tmp_path / 'b'),
                output_dir=tmp_path / 'out')


def read_all(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def test_folders(folders):
    (folders['output_dir'] / 'one').mkdir(parents=True)
    (folders['output_dir'] / 'one' / 'old.png').write_bytes(b'')
    choices = aggregate_folders(**folders)
    assert [(choice.video, choice.frames, choice.chosen) for choice in choices] == \
        [('one', 5, 'b'), ('single', 1, 'a'), ('two', 5, 'a')]
    assert choices[0].scores['b'] > choices[0].scores['a']
    assert np.isnan(list(choices[1].scores.values())).all()
    a, b = (read_all(folder) for folder in folders['predictions'].values())
    expected = {name: (b if name.startswith('one') else a)[name] for name in a}
    assert read_all(folders['output_dir']) == expected, 'only what was chosen, byte by byte, and nothing older'


def test_finished_videos_are_skipped(folders, tmp_path, monkeypatch):
    arguments = dict(folders, record_dir=tmp_path / 'records')
    first = aggregate_folders(**arguments)
    scored = []
    measure = choice_module.motion_consistency
    monkeypatch.setattr(choice_module, 'motion_consistency', lambda *args: scored.append(1) or measure(*args))
    assert str(aggregate_folders(**arguments)) == str(first) and not scored
    # the output of a video is not complete, a prediction is another one, the settings are others
    (folders['output_dir'] / 'one' / '003.png').unlink()
    assert str(aggregate_folders(**arguments)) == str(first) and len(scored) == 1
    path = folders['predictions']['a'] / 'two' / '003.png'
    path.write_bytes(path.read_bytes() + b' ')
    aggregate_folders(**arguments)
    assert len(scored) == 2
    aggregate_folders(**arguments, treatment='grey')
    assert len(scored) == 5
    aggregate_folders(**folders)
    assert len(scored) == 8


def test_frames_are_in_the_order_of_their_numbers(folders, tmp_path, monkeypatch):
    for name in 'ab':
        for kind in (tmp_path / name / 'one', tmp_path / 'data/one/origin'):
            for path in kind.glob('004.*'):
                path.rename(path.with_stem('10'))
            for path in kind.glob('003.*'):
                path.rename(path.with_stem('9'))
    orders = []
    monkeypatch.setattr(choice_module, 'fingerprint', lambda settings, files: orders.append([f.stem for f in files]))
    monkeypatch.setattr(choice_module, 'write_record', lambda *args: None)
    aggregate_folders(**folders, record_dir=tmp_path / 'records')
    assert orders[0][:5] == ['000', '001', '002', '9', '10']


def test_workers_give_the_same(folders, tmp_path):
    alone = aggregate_folders(**folders)
    both = aggregate_folders(**{**folders, 'output_dir': tmp_path / 'out2'}, workers=2)
    assert str(alone) == str(both)
    assert read_all(tmp_path / 'out') == read_all(tmp_path / 'out2')


def test_equal_scores_take_the_first(folders):
    same = folders['predictions']['a']
    choices = aggregate_folders(**{**folders, 'predictions': dict(x=same, y=same, z=same)})
    assert {choice.chosen for choice in choices} == {'x'}


def test_what_does_not_go_together(folders):
    a = folders['predictions']['a']
    with pytest.raises(ValueError, match='two or more'):
        aggregate_folders(**{**folders, 'predictions': dict(a=a)})
    with pytest.raises(ValueError, match='that of model "a"'):
        aggregate_folders(**{**folders, 'output_dir': a})
    with pytest.raises(ValueError, match='{video}'):
        aggregate_folders(**{**folders, 'images': 'data'})
    with pytest.raises(FileNotFoundError, match='no image of frame 000'):
        aggregate_folders(**{**folders, 'images': folders['images'].replace('origin', 'other')})
    (a / 'one' / '002.png').unlink()
    with pytest.raises(FileNotFoundError, match='different frames: 002'):
        aggregate_folders(**folders)
    (a / 'one').rename(a / 'seven')
    with pytest.raises(FileNotFoundError, match='different videos: one'):
        aggregate_folders(**folders)
    assert not folders['output_dir'].exists()


@pytest.fixture
def run(monkeypatch, folders):
    def tool(*more):
        arguments = ['--images', folders['images'], '--out', str(folders['output_dir']), '--pred',
                     *(f'{name}={folder}' for name, folder in folders['predictions'].items())]
        monkeypatch.setattr(sys, 'argv', ['aggregate.py', *arguments, *map(str, more)])
        runpy.run_path(str(TOOL), run_name='__main__')
    return tool


def test_tool(run, folders, tmp_path, capsys):
    run('--table', tmp_path / 'scores.csv')
    printed = capsys.readouterr().out
    assert 'a: chosen for 2 of 3 videos' in printed and 'b: chosen for 1 of 3 videos' in printed
    with open(tmp_path / 'scores.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['chosen'] for row in rows] == ['b', 'a', 'a']
    assert float(rows[0]['score b']) > float(rows[0]['score a']) and rows[1]['score a'] == ''
    run('--table', tmp_path / 'scores.json', '--label-maps', 'grey')
    assert json.loads((tmp_path / 'scores.json').read_text())[1]['score b'] is None


def test_the_table_keeps_names_that_the_locale_cannot_read(tmp_path):
    """In a locale without UTF-8, os.listdir gives surrogates for the bytes of such names."""
    rows = [dict(video='\udcc3\udcbcberflug', chosen='a')]
    tool = runpy.run_path(str(TOOL), run_name='tool')
    tool['write_table'](tmp_path / 'scores.csv', rows)
    assert (tmp_path / 'scores.csv').read_text('utf-8').splitlines() == ['video,chosen', 'überflug,a']


def test_tool_errors(run, folders, capsys):
    with pytest.raises(SystemExit, match='error: 1 folder'):
        run('--pred', f'a={folders["predictions"]["a"]}')
    with pytest.raises(SystemExit, match='error: window must be an odd number, got 4'):
        run('--window', 4)
    for arguments, message in [(('--pred', 'a'), 'NAME=FOLDER'), (('--pred', 'a=x', 'a=y'), 'two folders'),
                               (('--table', 'x.txt'), '.csv or .json')]:
        with pytest.raises(SystemExit):
            run(*arguments)
        assert message in capsys.readouterr().err


def test_the_tool_goes_on_past_broken_videos(run, folders, tmp_path, capsys):
    prediction = folders['predictions']['a'] / 'one/002.png'
    prediction.write_bytes(prediction.read_bytes()[:-9])
    with pytest.raises(SystemExit, match='^error: 1 of 3 videos could not be aggregated: one: .*002.png'):
        run('--table', tmp_path / 'scores.json', '--records', tmp_path / 'records')
    assert 'a: chosen for 2 of 2 videos' in capsys.readouterr().out
    assert sorted(path.name for path in folders['output_dir'].iterdir()) == ['single', 'two']
    assert [row['video'] for row in json.loads((tmp_path / 'scores.json').read_text())] == ['single', 'two']
    assert sorted(path.stem for path in (tmp_path / 'records').iterdir()) == ['single', 'two']
    Path(folders['images'].format(video='single'), '000.jpg').unlink()
    with pytest.raises(SystemExit, match='^error: 2 of 3 videos could not be aggregated: one, single. See above'):
        run()
    assert capsys.readouterr().err.count('not aggregated: ') == 2
    with pytest.raises(FileNotFoundError, match='no image of frame 000'):
        aggregate_folders(**folders, keep_going=False)


@pytest.mark.parametrize('place', ['a', 'a/one', 'frames', 'frames/one', 'frames/one/origin', '.'])
def test_the_output_is_neither_at_nor_around_nor_in_an_input(folders, tmp_path, place):
    output_dir = Path(folders['images'].split('{')[0] + place.removeprefix('frames')) if 'frames' in place \
        else tmp_path / place
    before = sorted(tmp_path.rglob('*'))
    for key in ('output_dir', 'record_dir'):
        with pytest.raises(UsageError, match='would overwrite or mix with the input'):
            aggregate_folders(**{**folders, 'output_dir': tmp_path / 'out', key: output_dir})
    assert sorted(tmp_path.rglob('*')) == before


def test_a_folder_that_holds_other_things_is_not_replaced(folders, tmp_path):
    (tmp_path / 'out/one').mkdir(parents=True)
    (tmp_path / 'out/one/photo.jpg').touch()
    with pytest.raises(UsageError, match='photo.jpg'):
        aggregate_folders(**folders)
    assert (tmp_path / 'out/one/photo.jpg').exists()
