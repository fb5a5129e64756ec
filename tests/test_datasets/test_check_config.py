# Copyright (c) The mmvc contributors. All rights reserved.
"""The check of what a config is trained and tested on: the three small examples, own layouts, and damage to them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvc.datasets.checks import check_config
from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.engine import load_config
from mmvc.utils.errors import UsageError

CONFIGS = Path(__file__).parents[2] / 'configs'
EXAMPLES = dict(vspw='dvispp_r18_synthetic', vipseg='dvispp_r18_synthetic_vps', ytvis='dvispp_r18_synthetic_vis')


@pytest.fixture(scope='module')
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp('generated')
    videos = SyntheticVideoConfig(size=(32, 48), num_frames=3)
    return make_synthetic_dataset(root, videos, formats=list(EXAMPLES), num_train=2, num_val=1, seed=1)


@pytest.fixture
def roots(generated, tmp_path):
    """Data that a test may damage."""
    return {name: Path(shutil.copytree(root, tmp_path / name)) for name, root in generated.items()}


def check(root, name, options=None, **arguments):
    cfg = load_config(str(CONFIGS / f'mvc/{EXAMPLES[name]}.py'), options, str(root))
    with DefaultScope.overwrite_default_scope('mmvc'):
        return check_config(cfg, **arguments)


@pytest.mark.parametrize('quick', [False, True])
@pytest.mark.parametrize('name', EXAMPLES)
def test_the_examples_have_no_problems(generated, name, quick):
    report = check(generated[name], name, quick=quick)
    assert report.problems == []
    assert report.counts == dict(train=dict(videos=2, frames=6, labelled=6), val=dict(videos=1, frames=3, labelled=3))
    assert report.sizes == {(48, 32): 9} and 'test: the same dataset as val' in report.notes


def first(root, pattern):
    return sorted(root.glob(pattern))[0]


def edit(change):
    def damage(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return damage


def fill(value):
    def damage(path):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.full_like(image, value))
    return damage


def halve(path):
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::2, ::2])


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize('name, file, damage, problem', [
    ('vspw', 'data/train_*/origin/*.jpg', cut, ('unreadable file', 'jpg')),
    ('vspw', 'data/train_*/mask/*.png', cut, ('refused', 'cannot be decoded (the PNG is cut off)')),
    ('vspw', 'data/train_*/mask/*.png', fill(11), ('refused', r'holds [11], which are neither classes nor void')),
    ('vspw', 'data/val_*/mask/*.png', fill(77), ('refused', r'holds [77], which are neither classes nor void')),
    ('vspw', 'data/train_*/mask/*.png', halve, ('refused', 'differs in size from its frame')),
    ('vspw', 'data/train_*/mask/*.png', Path.unlink, ('refused', 'has no mask')),
    ('vspw', 'train.txt', Path.unlink, ('refused', 'train.txt" does not exist')),
    ('vipseg', 'images/train_*/*.jpg', Path.unlink, ('missing file', 'jpg')),
    ('vipseg', 'images/val_*/*.jpg', halve, ('size', 'its frames have the sizes [(24, 16), (48, 32)]')),
    ('vipseg', 'panomasksRGB/val_*/*.png', fill(77), ('refused', 'segment ids')),
    ('vipseg', '*_train.json', edit(lambda c: c['categories'].pop()), ('refused', 'category 9 of')),
    ('ytvis', 'train/instances.json', edit(lambda c: c['annotations'][0]['segmentations'].pop()),
     ('refused', 'masks for 2 frames, its video has 3')),
    ('ytvis', 'valid/instances.json', edit(lambda c: c.update(annotations=None)), ('refused', 'has no annotations')),
])
def test_damage_is_found(roots, name, file, damage, problem):
    damage(first(roots[name], file))
    problems = check(roots[name], name).problems
    kind, text = problem
    assert any(found == kind and text in what for found, what in problems), problems


def test_quick_reads_headers(roots):
    fill(11)(first(roots['vspw'], 'data/train_*/mask/*.png'))
    assert check(roots['vspw'], 'vspw', quick=True).problems == []
    halve(first(roots['vspw'], 'data/train_*/mask/*.png'))
    (kind, what), = check(roots['vspw'], 'vspw', quick=True).problems
    assert kind == 'size' and '24 x 16, its frame 48 x 32' in what


def test_what_is_not_scored_needs_no_annotations(roots):
    """As the validation sets of the benchmarks, whose annotations are not public."""
    edit(lambda content: content.update(annotations=None))(roots['ytvis'] / 'valid/instances.json')
    report = check(roots['ytvis'], 'ytvis', {'val_evaluator.format_only': True, 'test_evaluator.format_only': True})
    assert report.problems == [] and report.counts['val'] == dict(videos=1, frames=3, labelled=0)


@pytest.mark.parametrize('name, options, message', [
    ('vspw', {'model.num_classes': 9}, 'train: the dataset has 10 classes, model.num_classes is 9'),
    ('vipseg', {'model.postprocessor.thing_classes': [4, 5]}, 'thing_classes is [4, 5]'),
])
def test_the_model_has_the_classes_of_the_dataset(generated, name, options, message):
    problems = check(generated[name], name, options, splits=['train']).problems
    assert [kind for kind, _ in problems] == ['classes'] and message in problems[0][1]


def test_an_own_layout(roots):
    """Folder templates, suffixes, offset and void values are those of the config."""
    root = roots['vspw']
    for video in (root / 'data').iterdir():
        (root / 'labels' / video.name).mkdir(parents=True)
        for path in (video / 'mask').iterdir():
            mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(root / f'labels/{video.name}/{path.stem}_ids.png'), np.where(mask, mask + 29, 7))
        shutil.rmtree(video / 'mask')
    own = dict(type='BaseVideoSegDataset', data_prefix=dict(
        img_path='data/{video}/origin', seg_map_path='labels/{video}'), seg_map_suffix='_ids.png', label_offset=30)
    options = {f'{split}_dataloader.dataset.{key}': value for split in ('train', 'val', 'test')
               for key, value in dict(own, void_values=(7, )).items()}
    assert check(root, 'vspw', options).problems == []
    wrong = check(root, 'vspw', dict(options, **{'train_dataloader.dataset.void_values': (0, )}), splits=['train'])
    assert {kind for kind, _ in wrong.problems} == {'refused'} and '[7], which are neither' in wrong.problems[0][1]


def test_datasets_in_datasets_and_classes_that_are_not_there(roots):
    cfg = load_config(str(CONFIGS / 'mvc/dvispp_r18_synthetic.py'), None, str(roots['vspw']))
    part = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, dict(part, ann_file='val.txt')])
    for path in (roots['vspw'] / 'data').glob('*/mask/*.png'):
        fill(1)(path)
    with DefaultScope.overwrite_default_scope('mmvc'):
        report = check_config(cfg)
    assert report.problems == [] and list(report.counts) == ['train 1', 'train 2', 'val']
    assert any(note.startswith('train 1: no annotation of 9 of 10 classes: ground') for note in report.notes)
    assert 'val: 1 of 1 videos are trained on, too' in report.notes


def test_what_cannot_be_checked(generated):
    with pytest.raises(UsageError, match='the dataset of train cannot be built: .*colour'):
        check(generated['vspw'], 'vspw', {'train_dataloader.dataset.colour': 'red'})
    with pytest.raises(UsageError, match='has no test_dataloader: there is no dataset to check'):
        check(generated['vspw'], 'vspw', {'test_dataloader': None}, splits=['test'])


@pytest.mark.slow
def test_workers_find_the_same(roots):
    fill(11)(first(roots['vspw'], 'data/train_*/mask/*.png'))
    reports = [check(roots['vspw'], 'vspw', workers=workers).to_dict() for workers in (1, 2)]
    assert reports[0] == reports[1] and len(reports[0]['problems']) == 1
