# Copyright (c) The mmvc contributors. All rights reserved.
"""The challenge pipeline on tiny videos: its steps in order, what is skipped when it is run again, and its report."""

import json
import os
import runpy
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

import mmvc  # noqa: F401  registers the scope
from mmvc.challenge.correction import MultimodalBackend, TemporaryBackendError
from mmvc.challenge.pipeline import ChallengePipeline, load_plan, write_submission
from mmvc.challenge.pipeline.prediction import prepare_config
from mmvc.evaluation.files import evaluate_vss
from mmvc.formats.vspw import list_masks
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder
from tests.helpers.child_environment import child_environment
from tests.helpers.tiny_vss import TinyVSS, write_config

ROOT = Path(__file__).parents[3]
CLASSES = ('sky', 'sea', 'river', 'rock')
SKY, SEA, RIVER, ROCK = range(4)
VIDEOS = ('one', 'two')
SIZE = (40, 64)
CONFIG = """
dataset = dict(type='VSPWDataset', data_root='{root}', ann_file='val.txt', metainfo=dict(classes={classes}))
models = dict(
    steady=dict(config='model.py', stage='segmenter', checkpoint='{root}/steady.pth'),
    steady_tta=dict(
        config='model.py', stage='segmenter', checkpoint='{root}/steady.pth', tta=dict(scales=(1.0, 1.2))),
    given=dict(predictions='{root}/given'))
aggregation = dict(models=('given', 'steady_tta'))
correction = dict(
    backend=dict(type='openai', model='tiny', base_url='http://127.0.0.1:1/v1'),
    groups=[dict(stuff='water', classes=('sea', 'river'), always=True)],
    settings=dict(num_questions=1, min_area=0.01))
"""
MODEL = """
_base_ = '{configs}/dvispp/dvispp_r18_synthetic.py'
"""


def truth(t):
    """A river under the sky, with a rock that moves by two pixels per frame."""
    labels = np.full(SIZE, SKY, np.uint8)
    labels[20:] = RIVER
    labels[5:30, 4 + 2 * t:24 + 2 * t] = ROCK
    return labels


def predicted(kind, t):
    """Two models: the steady one takes the river for the sea, the flickering one sees no rock in odd frames."""
    labels = truth(t)
    if kind == 'flickering' and t % 2:
        labels[labels == ROCK] = SKY
    labels[labels == RIVER] = SEA
    return labels


def write(folder, label_maps):
    folder.mkdir(parents=True, exist_ok=True)
    for t, labels in enumerate(label_maps):
        cv2.imwrite(str(folder / f'{t:03d}.png'), labels)


@pytest.fixture
def data(tmp_path):
    """A dataset with ground truth, one folder of given predictions, and a challenge config."""
    for seed, video in enumerate(VIDEOS):
        noise = np.random.default_rng(seed).integers(0, 60, (*SIZE, 3))
        write(tmp_path / 'data' / video / 'mask', [truth(t) + 1 for t in range(17)])
        write(tmp_path / 'given' / video, [predicted('flickering', t) for t in range(17)])
        folder = tmp_path / 'data' / video / 'origin'
        folder.mkdir()
        for t in range(17):
            image = noise + 60 * truth(t)[..., None]
            image[5:30, 4 + 2 * t:24 + 2 * t] = noise[5:30, 4:24] + 150  # the texture of the rock moves with it
            cv2.imwrite(str(folder / f'{t:03d}.jpg'), image.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    (tmp_path / 'val.txt').write_text('\n'.join(VIDEOS))
    torch.save({}, tmp_path / 'steady.pth')
    (tmp_path / 'model.py').write_text(MODEL.format(configs=ROOT / 'configs'))
    (tmp_path / 'challenge.py').write_text(CONFIG.format(root=tmp_path, classes=CLASSES))
    return tmp_path


class TinyBackend(MultimodalBackend):
    """Says river, counts its questions, and fails when it is told to."""

    def __init__(self):
        super().__init__('tiny')
        self.asked, self.fails = 0, False

    def ask(self, picture, question):
        self.asked += 1
        if self.fails:
            raise TemporaryBackendError('busy', retry_after=0)
        return 'river'


class Predict:
    """Stands for the models; notes which videos it was asked for, and stops before one when it is told to."""

    def __init__(self):
        self.calls, self.stop_at = [], None

    def __call__(self, model, dataset, videos, output_dir, work_dir, processes, trust_checkpoint):
        self.calls.append((model.name, videos))
        for video in videos:
            if video == self.stop_at:
                write(output_dir / video, [truth(0)])  # a frame of it was written
                raise UsageError('killed')
            write(output_dir / video, [predicted('steady', t) for t in range(17)])


@pytest.fixture
def build(data):
    """Build a pipeline from the config, with changes to it."""
    def make(**changes):
        cfg = Config.fromfile(str(data / 'challenge.py'))
        cfg.merge_from_dict(changes)
        return ChallengePipeline(load_plan(cfg), data / 'work', predict=make.predict, backend=make.backend)
    make.predict, make.backend = Predict(), TinyBackend()
    return make


def read_labels(folder):
    return np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.glob('*.png'))])


def test_all_steps(build, data):
    pipeline = build()
    report = pipeline.run()
    assert pipeline.steps == ['steady', 'steady_tta', 'given', 'aggregation', 'correction']
    by_name = {result.name: result for result in report.results}

    # the numbers are those of the evaluation, the steady model was chosen, the river is one again
    masks = list_masks(data)
    for name, folder in [('given', data / 'given'), ('steady', data / 'work/predictions/steady'),
                         ('correction', data / 'work/correction/predictions')]:
        expected = evaluate_vss(folder, masks, CLASSES).numbers
        assert by_name[name].numbers == {key: 100 * expected[key] for key in ('mIoU', 'VC8', 'VC16')}
    assert by_name['given'].numbers['mIoU'] < by_name['steady'].numbers['mIoU']
    assert by_name['aggregation'].numbers == by_name['steady_tta'].numbers
    assert by_name['correction'].numbers == dict(mIoU=100, VC8=100, VC16=100)
    rows = {row['name']: row for row in report.rows()}
    assert rows['steady_tta']['compared with'] == 'steady' and rows['steady_tta']['mIoU +/-'] == 0
    assert rows['aggregation']['compared with'] == 'given' and rows['aggregation']['mIoU +/-'] > 0
    assert rows['correction']['mIoU +/-'] == pytest.approx(100 - rows['aggregation']['mIoU'])
    assert 'steady_tta: no gain' in report.to_text() and 'correction: no gain' not in report.to_text()

    written = json.loads((data / 'work/report.json').read_text())
    assert [step['numbers'] for step in written['steps']] == [result.numbers for result in report.results]
    markdown = (data / 'work/report.md').read_text().splitlines()
    assert len(markdown[0].split('|')) == len(markdown[1].split('|')) == len(markdown[6].split('|'))
    with zipfile.ZipFile(data / 'work/submission.zip') as archive:
        assert sorted(archive.namelist()) == [f'{video}/{t:03d}.png' for video in VIDEOS for t in range(17)]
        decoded = cv2.imdecode(np.frombuffer(archive.read('two/016.png'), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded, truth(16))
    assert build.predict.calls == [('steady', list(VIDEOS)), ('steady_tta', list(VIDEOS))]
    assert build.backend.asked == 2


def test_clear_segments_are_not_asked_about(build, data):
    """With margins, those of the chosen model count."""
    groups = [dict(stuff='water', classes=('sea', 'river'))]
    build(**{'correction.groups': groups}).run()
    assert build.backend.asked == 0  # no margins, no change of class
    for video, margin in (('one', 255), ('two', 20)):
        write(data / 'work/models/steady_tta/margins' / video, [np.full(SIZE, margin, np.uint8)] * 17)
        write(data / 'work/models/steady/margins' / video, [np.zeros(SIZE, np.uint8)] * 17)
    build(**{'correction.groups': groups}).run()
    [record] = json.loads((data / 'work/correction/audit.json').read_text())
    assert (record['video'], record['reason']) == ('two', 'low margin')


def test_a_finished_run_computes_nothing(build, data, monkeypatch):
    first = build().run().to_text()
    before = {path: path.stat().st_mtime_ns for path in (data / 'work').rglob('*.png')}
    for function in ('mmvc.challenge.aggregation.choice.motion_consistency',
                     'mmvc.challenge.correction.folders.correct_video',
                     'mmvc.challenge.pipeline.challenge_pipeline.evaluate_vss'):
        monkeypatch.setattr(function, None)
    pipeline = build()
    assert [pipeline.unfinished(step) for step in pipeline.steps] == [[]] * 5
    assert pipeline.run().to_text() == first
    assert {path: path.stat().st_mtime_ns for path in (data / 'work').rglob('*.png')} == before
    assert build.backend.asked == 2 and len(build.predict.calls) == 2
    # the numbers and the record of the correction are complete, too
    assert len(json.loads((data / 'work/correction/audit.json').read_text())) == 2


def test_goes_on_with_the_videos_that_are_left(build, data):
    build.predict.stop_at = 'two'
    with pytest.raises(UsageError, match='killed'):
        build().run()
    build.predict.stop_at = None
    build().run()
    assert build.predict.calls == [('steady', ['one', 'two']), ('steady', ['two']), ('steady_tta', ['one', 'two'])]
    assert np.array_equal(read_labels(data / 'work/predictions/steady/two')[0], predicted('steady', 0))


def test_questions_without_an_answer_end_the_run_and_are_asked_again(build, data):
    build.backend.fails = True
    with pytest.raises(UsageError, match='2 questions got no answer'):
        build(**{'correction.retries': 1}).run()
    assert not (data / 'work/submission.zip').exists() and build.backend.asked == 4
    build.backend.fails = False
    build().run()
    assert build.backend.asked == 6 and len(build.predict.calls) == 2


def test_what_follows_from_a_changed_prediction_is_done_again(build, data):
    build().run()
    write(data / 'given/one', [truth(t) for t in range(17)])
    report = build().run()
    assert 'given: 1, steady_tta: 1' in report.results[3].details
    outcomes = [record['outcome'] for record in json.loads((data / 'work/correction/audit.json').read_text())]
    assert outcomes == ['confirmed', 'changed'] and report.results[4].numbers['mIoU'] == 100
    assert build.backend.asked == 2  # the picture is as before
    assert len(build.predict.calls) == 2


def test_other_settings_need_a_decision(build, data):
    build().run()
    os.utime(data / 'steady.pth', ns=(1, 1))  # another checkpoint
    with pytest.raises(UsageError, match='--redo steady'):
        build().run()
    pipeline = build()
    pipeline.discard(['steady', 'steady_tta'])
    assert pipeline.unfinished('steady') == list(VIDEOS) and pipeline.unfinished('given') == []
    pipeline.run()
    assert len(build.predict.calls) == 4
    with pytest.raises(UsageError, match='no step "stedy": the config has steady, '):
        pipeline.discard(['stedy'])
    with pytest.raises(UsageError, match='not made here'):
        pipeline.discard(['given'])


def test_steps_can_be_left_out(build, data):
    changes = dict(correction=None, aggregation=None)
    with pytest.raises(UsageError, match='3 models .* no aggregation'):
        build(**changes)
    config = (data / 'challenge.py').read_text()
    only = config[:config.index('models')] + f"models = dict(given=dict(predictions='{data}/given'))\n"
    (data / 'challenge.py').write_text(only)
    report = build().run()
    assert [result.step for result in report.results] == ['model']
    with zipfile.ZipFile(data / 'work/submission.zip') as archive:
        assert archive.read('one/003.png') == (data / 'given/one/003.png').read_bytes()


def test_without_ground_truth(build, data):
    (data / 'data/two/mask/004.png').unlink()
    report = build().run()
    assert {result.numbers for result in report.results} == {None}
    assert '1 of 34 frames have no ground truth' in report.to_text()
    assert (data / 'work/submission.zip').is_file()


def test_given_predictions_must_be_those_of_the_dataset(build, data):
    (data / 'given/two/005.png').unlink()
    with pytest.raises(UsageError, match='not of every frame, of 1 videos: two'):
        build().run()
    write(data / 'given/two', [truth(t) for t in range(17)])
    write(data / 'given/seven', [truth(0)])
    with pytest.raises(UsageError, match='predictions of seven'):
        build().run()


@pytest.mark.parametrize('changes, message', [
    ({'models': dict(x=dict(predictions='nowhere'))}, '"nowhere" does not exist'),
    ({'models': dict(x=dict(config='model.py'))}, 'needs config and checkpoint'),
    ({'models': dict(x=dict(config='other.py', checkpoint='x.pth'))}, r'other.py" does not exist \(paths are'),
    ({'models': dict(x=dict(config='model.py', checkpoint='x.pth'))}, 'x.pth'),
    ({'models': dict(given=dict(tta=True))}, 'drop one side'),
    ({'models': {'a/b': dict(predictions='.')}}, 'plain one'),
    ({'models': dict(aggregation=dict(predictions='.'))}, 'not that of a step'),
    ({'models': dict(steady=dict(tta=dict(scale=(1.0, ))))}, 'tta has scale: expected any of scales'),
    ({'models': dict(steady=dict(weights='x'))}, r'models\["steady"\]: .*weights'),
    ({'aggregation': dict(models=('given', ))}, 'name two or more'),
    ({'aggregation': dict(models=('given', 'stead'))}, 'names "stead", but'),
    ({'aggregation': dict(treatment='colour')}, "treatment = 'colour'"),
    ({'correction': dict(backend=dict(type='human'))}, "'human': expected one of openai, transformers"),
    ({'correction': dict(backend=dict(type='openai', name='gpt'))}, "correction: backend: .*argument"),
    ({'correction': dict(backend=dict(type='openai', model='x', timeout=0))}, 'backend.timeout must be above 0'),
    ({'correction': dict(retries='many')}, "correction: retries must be at least 0 .*'many'"),
    ({'correction': dict(requests_per_minute=0)}, 'correction: requests_per_minute must be above 0'),
    ({'correction': dict(settings=dict(num_questions=0))}, 'num_questions must be at least 1'),
    ({'correction': dict(settings=dict(picture='photo'))}, "picture = 'photo'"),
    ({'aggregation': dict(window=4)}, 'aggregation: window must be an odd number'),
    ({'models': dict(steady=dict(tta=dict(scales=(0., ))))}, r'models\["steady"\]: a scale of tta must be above 0'),
    ({'models': dict(steady=dict(tta=dict(voting='none')))}, "tta.voting = 'none'"),
    ({'correction': dict(groups=None)}, 'those of VSPW do not fit'),
    ({'correction': dict(settings=dict(min_size=1))}, 'correction: settings: .*min_size'),
    ({'dataset': dict(type='YouTubeVISDataset')}, 'not a dataset for video semantic segmentation'),
])
def test_configs_that_make_no_sense(build, changes, message):
    with pytest.raises(UsageError, match=message):
        build(**changes)


def test_the_models_config_predicts_the_dataset_of_the_challenge(build, data):
    plan = build().plan
    cfg = prepare_config(plan.models['steady_tta'], dict(plan.dataset, ann_file='left.txt'))
    dataset = cfg.test_dataloader.dataset
    assert (dataset.type, dataset.ann_file, dataset.data_root, dataset.test_mode) == (
        'VSPWDataset', 'left.txt', str(data), True)
    assert dataset.pipeline[0].type == 'SampleAllFrames'
    scales, flips, _ = cfg.tta_pipeline[-1]['transforms']
    assert len(scales) == 2 and len(flips) == 2 and cfg.tta_model.voting == 'majority'
    assert 'tta_pipeline' not in prepare_config(plan.models['steady'], plan.dataset)


def test_submissions_are_checked(data):
    images = {'one': [str(data / f'data/one/origin/{t:03d}.jpg') for t in range(17)]}
    target = data / 'out/submission.zip'
    assert write_submission(data / 'given', images, 4, target) == target
    before = target.read_bytes()
    with pytest.raises(ValueError, match='has the value 3: expected class indices from 0 to 2'):
        write_submission(data / 'given', images, 3, target)
    cv2.imwrite(str(data / 'given/one/007.png'), truth(7)[:-1])
    with pytest.raises(ValueError, match=r'size \(39, 64\), its image \(40, 64\)'):
        write_submission(data / 'given', images, 4, target)
    (data / 'given/one/007.png').unlink()
    with pytest.raises(FileNotFoundError, match='007.png" does not exist'):
        write_submission(data / 'given', images, 4, target)
    assert target.read_bytes() == before and len(list(target.parent.iterdir())) == 1


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['challenge_pipeline.py', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools/challenge_pipeline.py'), run_name='__main__')


def test_tool(monkeypatch, data, capsys):
    (data / 'challenge.py').write_text(f"""
dataset = dict(type='VSPWDataset', data_root='elsewhere', ann_file='val.txt', metainfo=dict(classes={CLASSES}))
models = dict(given=dict(predictions='{data}/given'), again=dict(predictions='{data}/given'))
aggregation = dict(models=('given', 'again'))
correction = None
""")
    arguments = (data / 'challenge.py', '--data-root', data, '--work-dir', data / 'work')
    run_tool(monkeypatch, *arguments, '--dry-run')
    assert 'aggregation: 2 of 2 videos left' in capsys.readouterr().out and not (data / 'work').exists()
    run_tool(monkeypatch, *arguments)
    printed = capsys.readouterr().out
    assert 'videos from given: 2, again: 0' in printed and 'submission.zip' in printed
    with pytest.raises(SystemExit, match='error: .*no step "x"'):
        run_tool(monkeypatch, *arguments, '--redo', 'x')
    with pytest.raises(SystemExit, match='error: .*elsewhere'):
        run_tool(monkeypatch, arguments[0])


@pytest.mark.slow
def test_tool_with_a_model_and_augmentation(monkeypatch, data, capfd):
    monkeypatch.setenv('PYTHONPATH', child_environment()['PYTHONPATH'])
    write_config(data / 'tiny.py')
    torch.save(dict(state_dict=TinyVSS(2).state_dict()), data / 'tiny.pth')
    (data / 'challenge.py').write_text(f"""
dataset = dict(type='VSPWDataset', data_root='{data}', ann_file='val.txt', metainfo=dict(classes={CLASSES}))
models = dict(tiny=dict(config='tiny.py', checkpoint='{data}/tiny.pth', tta=dict(scales=(1.0, ))))
""")
    run_tool(monkeypatch, data / 'challenge.py', '--work-dir', data / 'work')
    labels, margins = (read_labels(data / 'work' / folder / 'two')
                       for folder in ('predictions/tiny', 'models/tiny/margins'))
    assert margins.shape == labels.shape and margins.max() == 255
    assert labels.shape == (17, *SIZE) and set(np.unique(labels)) == {0, 1}
    assert (data / 'work/submission.zip').is_file()
    (data / 'tiny.pth').write_bytes(b'damaged')
    with pytest.raises(SystemExit, match='damaged|tiny.pth|--redo tiny'):
        run_tool(monkeypatch, data / 'challenge.py', '--work-dir', data / 'work')


@pytest.mark.parametrize('link, target', [
    ('work/aggregation', 'given'), ('work/correction/predictions', 'data/one/origin'), ('work/records', 'data'),
    ('work/predictions/steady', 'data/one/mask')])
def test_steps_do_not_write_over_the_dataset_or_given_predictions(build, data, link, target):
    (data / link).parent.mkdir(parents=True)
    (data / link).symlink_to(data / target)
    with pytest.raises(UsageError, match='would overwrite or mix with the input'):
        build()


@pytest.mark.parametrize('name', ['..', '../given', 'a\nb', ''])
def test_the_name_of_a_model_stays_in_the_work_dir(build, data, name):
    with pytest.raises(UsageError, match='it must be a plain one'):
        build(models={name: dict(predictions=str(data / 'given'))})


def test_two_pipelines_do_not_share_a_work_dir(monkeypatch, data):
    monkeypatch.setattr('mmvc.utils.folder_lock.PATIENCE', 0.)
    monkeypatch.setattr(sys, 'argv', ['challenge_pipeline.py', str(data / 'challenge.py'), '--work-dir',
                                      str(data / 'work')])
    with hold_folder(data / 'work'), pytest.raises(SystemExit, match='is in use by process'):
        runpy.run_path(str(ROOT / 'tools/challenge_pipeline.py'), run_name='__main__')
