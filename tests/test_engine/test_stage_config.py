# Copyright (c) The mmvc contributors. All rights reserved.
"""The complete config of a stage: what merges, entries with a meaning of their own, and errors that name the key."""

import copy

import pytest
from mmengine.config import Config

from mmvc.engine import load_config, resolve_stage, stage_names
from mmvc.utils.errors import UsageError

CLIP = dict(type='SampleClip', num_frames=21, frame_range=10, reverse_prob=0.5)
PACK = dict(type='PackVideoSegInputs')
TOP = dict(
    model=dict(type='Offline', head=dict(width=3), tracker=dict(noise=dict(type='QueryNoise', prob=0.5)), refiner={}),
    train_dataloader=dict(batch_size=1, dataset=dict(type='VSPWDataset', pipeline=[CLIP, dict(type='Load'), PACK])),
    val_dataloader=dict(dataset=dict(pipeline=[dict(type='SampleAllFrames'), PACK])),
    train_cfg=dict(type='ResumableTrainLoop', max_iters=9),
    param_scheduler=[dict(type='LinearLR', end=5)],
    milestones=None)


def config(**stages) -> Config:
    """A config with the stages ``first`` (as given) and ``last``."""
    return Config(dict(copy.deepcopy(TOP), stages=dict(first=stages, last={})), cfg_text='...', filename='some.py')


def first(**stages) -> dict:
    return resolve_stage(config(**stages), 'first').to_dict()


def pipelines(cfg: dict) -> list:
    return cfg['train_dataloader']['dataset']['pipeline']


def test_the_last_stage_is_the_top_level():
    cfg = config(train_cfg=dict(max_iters=2))
    assert stage_names(cfg) == ['first', 'last']
    assert resolve_stage(cfg).to_dict() == resolve_stage(cfg, 'last').to_dict() == TOP
    assert resolve_stage(Config(TOP)).to_dict() == TOP and stage_names(Config(TOP)) == []


def test_dicts_are_merged_and_the_rest_is_replaced():
    before = copy.deepcopy(TOP)
    cfg = config(
        model=dict(head=dict(depth=2), tracker=dict(noise=dict(prob=0.8))),
        param_scheduler=[dict(type='PolyLR')],
        milestones=dict(a=1),
        custom_hooks=[dict(type='EMAHook')])
    given = copy.deepcopy(cfg.to_dict())
    merged = resolve_stage(cfg, 'first').to_dict()
    assert merged['model']['head'] == dict(width=3, depth=2)
    assert merged['model']['tracker'] == dict(noise=dict(type='QueryNoise', prob=0.8))
    assert merged['param_scheduler'] == [dict(type='PolyLR')] and merged['milestones'] == dict(a=1)
    assert merged['custom_hooks'] == [dict(type='EMAHook')] and merged['train_cfg'] == TOP['train_cfg']
    merged['model']['head'].clear()
    assert cfg.to_dict() == given and TOP == before  # nothing of the config is changed or shared


def test_parts_are_removed_and_replaced():
    merged = first(model=dict(type='Segmenter', _remove_=['tracker', 'refiner'], head=dict(_delete_=True, depth=2)))
    assert merged['model'] == dict(type='Segmenter', head=dict(depth=2))
    assert 'val_dataloader' not in first(_remove_='val_dataloader')


def test_clips_masks_and_pipelines():
    mask = dict(type='TubeMask', patch_size=8)
    merged = first(sample_clip=dict(num_frames=2, frame_range=3), mask=mask)
    assert pipelines(merged) == [dict(type='SampleClip', num_frames=2, frame_range=3), dict(type='Load'), mask, PACK]
    assert merged['val_dataloader'] == TOP['val_dataloader']
    merged = first(train_pipeline=[CLIP, dict(type='RandomPatchMask'), PACK], mask=mask)
    assert pipelines(merged) == [CLIP, mask, PACK]  # in place of the mask that is there


@pytest.mark.parametrize('wrapper', ['JointDataset', 'ConcatDataset', 'RepeatDataset'])
def test_every_training_pipeline_is_changed(wrapper):
    part = dict(type='mmvc.X', pipeline=[dict(CLIP, type='mmvc.SampleClip'), PACK])
    dataset = dict(
        JointDataset=dict(datasets=[dict(type='A'), dict(type='B')], pipeline=part['pipeline']),
        ConcatDataset=dict(datasets=[part, dict(part, ann_file='val.txt')]),
        RepeatDataset=dict(dataset=part))[wrapper]
    cfg = config(sample_clip=dict(num_frames=2), mask=dict(type='mmvc.TubeMask'))
    cfg.train_dataloader.dataset = dict(type=wrapper, **dataset)
    merged = resolve_stage(cfg, 'first').to_dict()['train_dataloader']['dataset']
    found = [merged] if 'pipeline' in merged else merged.get('datasets') or [merged['dataset']]
    assert len(found) == (2 if wrapper == 'ConcatDataset' else 1)
    for entry in found:
        assert entry['pipeline'] == [dict(type='mmvc.SampleClip', num_frames=2), dict(type='mmvc.TubeMask'), PACK]


@pytest.mark.parametrize('stage, message', [
    (dict(models=dict()), r'stages.first has an unknown entry "models" \(did you mean "model"\?\)'),
    (dict(model=dict(_remove_=['tracking'])), r'stages.first.model._remove_ names "tracking".*did you mean "tracker"'),
    (dict(param_scheduler=dict(end=3)), r'stages.first.param_scheduler is a dict, but .*_delete_=True'),
    (dict(sample_clip=[2]), 'stages.first.sample_clip must be a dict of the arguments'),
    (dict(sample_clip=dict(type='SampleClip')), 'stages.first.sample_clip must be a dict of the arguments'),
    (dict(train_pipeline=[PACK], sample_clip=dict(num_frames=2)), 'sample_clip: no pipeline .* has a SampleClip'),
    (dict(train_pipeline=PACK), 'stages.first.train_pipeline must be a list'),
    (dict(mask='TubeMask'), r"stages.first.mask must be a masking transform, such as dict\(type='TubeMask'"),
    (dict(train_pipeline=[CLIP], mask=dict(type='TubeMask')), 'stages.first.mask: no pipeline .*PackVideoSegInputs'),
])
def test_errors_name_file_and_key(stage, message):
    with pytest.raises(UsageError, match=f'config "some.py": .*{message}'):
        first(**stage)


@pytest.mark.parametrize('stages, message', [
    ([dict(name='a', config='a.py')], 'stages is a list, the form of mmvc 0.1.*one file.*train_test.md'),
    ({}, 'stages must be a dict with an entry for each stage'),
    ('segmenter', 'stages must be a dict with an entry for each stage'),
    ({'../a': {}}, 'stages: "../a" is also the name of a folder'),
    (dict(a='a.py'), "stages.a must be a dict of what the stage changes in the config, found 'a.py'"),
])
def test_stages_that_are_none(stages, message):
    with pytest.raises(UsageError, match=f'config "some.py": {message}'):
        resolve_stage(Config(dict(stages=stages), cfg_text='...', filename='some.py'))


def test_the_last_stage_changes_nothing():
    """Mistakes, and files that mmengine has written, which sorts the stages; the top level stays usable."""
    cfg = config()
    cfg.stages = dict(last={}, first=dict(model=dict(_remove_='refiner')))
    with pytest.raises(UsageError, match=r'stages.first must be dict\(\), because the last stage is the top level'):
        stage_names(cfg)
    assert resolve_stage(cfg).to_dict() == TOP and 'refiner' not in resolve_stage(cfg, 'first').model


def test_unknown_stages():
    with pytest.raises(UsageError, match=r'no stage "firstly" \(did you mean "first"\?\): its stages are first, last'):
        resolve_stage(config(), 'firstly')
    with pytest.raises(UsageError, match=r'the config has no stages: leave out the stage "a" \(--stage\)'):
        resolve_stage(Config(TOP), 'a')


class TestOverrides:
    """What ``load_config`` does with overrides of a config with stages."""

    @pytest.fixture
    def path(self, tmp_path):
        text = '\n'.join(f'{key} = {value!r}' for key, value in config(train_cfg=dict(max_iters=5)).to_dict().items())
        (tmp_path / 'some.py').write_text(text)
        return str(tmp_path / 'some.py')

    def test_they_are_for_every_stage_or_for_one(self, path):
        options = {'train_cfg.max_iters': 3, 'stages.first.train_cfg.max_iters': 2,
                   'stages.first.sample_clip.num_frames': 4, 'model.head.width': 7}
        one, last = load_config(path, options, stage='first'), load_config(path, options)
        assert (one.train_cfg.max_iters, last.train_cfg.max_iters) == (2, 3)  # what is said of the stage comes first
        assert one.model.head.width == last.model.head.width == 7
        assert pipelines(one)[0] == dict(type='SampleClip', num_frames=4) and pipelines(last)[0] == CLIP
        last = load_config(path, {'train_cfg.max_iters': 3, 'stages.last.train_cfg.max_iters': 1})
        assert last.train_cfg.max_iters == 1

    @pytest.mark.parametrize('key', ['stages.firstly.train_cfg', 'stages.first', 'stages'])
    def test_one_of_no_stage_is_refused(self, path, key):
        with pytest.raises(UsageError, match=f'"{key}" must be stages.NAME.KEY, .* are first, last'):
            load_config(path, {key: 1})
