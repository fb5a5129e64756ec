# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import pytest
from mmengine.config import Config

from mmvc.ablation import Plan
from mmvc.ablation.config_hash import short_hash
from mmvc.ablation.overrides import apply_overrides
from mmvc.registry import TRANSFORMS
from mmvc.utils.dataset_configs import innermost_datasets
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_plan import PLAN, write_plan

PLANS = Path(__file__).parents[2] / 'configs/mvc/ablations'


def keys(plan, variant, seed):
    run, = [run for run in plan.runs if run.variant == variant and run.seed == seed]
    return {stage: training.key for stage, training in run.trainings.items()}


@pytest.fixture
def plan(tmp_path):
    return Plan(write_plan(tmp_path))


def test_variants_share_the_stages_before_they_differ(plan):
    base, late, early, tested = (keys(plan, name, 0) for name in ('base', 'late', 'early', 'tested'))
    assert list(base) == ['segmenter', 'online', 'offline']
    assert base['segmenter'] == late['segmenter'] == early['segmenter']
    assert base['online'] == late['online'] != early['online']
    assert len({base['offline'], late['offline'], early['offline']}) == 3  # early: other weights to start from
    assert tested == base
    assert not set(base.values()) & set(keys(plan, 'base', 1).values())
    assert len(plan.runs) == 8 and len(plan.trainings) == 2 * (1 + 2 + 3)
    assert plan.trainings[base['online']].used_by == ['base', 'late', 'tested']
    assert plan.trainings[base['offline']].parent is plan.trainings[base['online']]


def test_order_is_by_stage(plan):
    assert [training.depth for training in plan.ordered_trainings] == [0] * 2 + [1] * 4 + [2] * 6


def test_overrides_and_seeds_reach_the_configs(plan):
    training = plan.trainings[keys(plan, 'late', 1)['offline']]
    assert training.cfg.optim_wrapper.optimizer.lr == 0.001 and training.cfg.randomness.seed == 1
    assert plan.trainings[keys(plan, 'base', 1)['offline']].cfg.optim_wrapper.optimizer.lr == 0.02


def test_only_tests_differ(plan):
    training = plan.trainings[keys(plan, 'tested', 0)['offline']]
    tests = {evaluation.key: evaluation for evaluation in training.evaluations.values()}
    assert sorted(evaluation.name for evaluation in tests.values()) == ['clean', 'clean', 'hard', 'hard']
    assert sum('prefix' in evaluation.cfg.test_evaluator for evaluation in tests.values()) == 2
    assert {evaluation.cfg.test_dataloader.dataset.data_root for evaluation in tests.values()} == {'data/tiny', 'hard'}
    # the online stage is tested clean only, the segmenter not at all
    assert [e.name for e in training.parent.evaluations.values()] == ['clean']
    assert not training.parent.parent.evaluations


def test_what_is_watched_does_not_matter_but_data_and_schedule_do(tmp_path):
    path = write_plan(tmp_path)
    base = keys(Plan(path), 'base', 0)
    assert keys(Plan(path, cfg_options={'default_hooks.checkpoint.interval': 7, 'log_level': 'ERROR'}), 'base',
                0) == base
    for changed in (dict(data_root='elsewhere'), dict(cfg_options={'train_cfg.max_iters': 9})):
        assert not set(base.values()) & set(keys(Plan(path, **changed), 'base', 0).values())


def test_stages_that_no_metric_needs_are_left_out(tmp_path):
    text = PLAN[:PLAN.index('metrics =')] + "metrics = [dict(name='m', stage='online', number='tiny/mIoU')]\n"
    assert list(keys(Plan(write_plan(tmp_path, text)), 'base', 0)) == ['segmenter', 'online']


def test_selection_keeps_the_baseline(tmp_path):
    plan = Plan(write_plan(tmp_path), variants=['late'], seeds=[5])
    assert [(run.variant, run.seed) for run in plan.runs] == [('base', 5), ('late', 5)]
    with pytest.raises(UsageError, match='no variant nobody'):
        Plan(plan.path, variants=['nobody'])


@pytest.mark.parametrize('old, new, message', [
    ("baseline = 'base'", "baseline = 'nobody'", 'baseline "nobody" is not among the variants'),
    ("name='late'", "name='base'", 'share a name'),
    ('seeds = [0, 1]', 'seeds = [1, 1]', 'repeat'),
    ('seeds = [0, 1]', 'seeds = []', 'seeds is missing or empty'),
    ('overrides=dict(offline=', 'overrides=dict(refiner=', 'overrides of stage refiner, the config has segmenter'),
    ("number='tiny/mIoU'),", "numbers='x'),", r'metrics\[0\]'),
    ("minus='clean'", "minus='dirty'", 'needs evaluation "dirty"'),
    ("stage='online'", "stage='tracker'", 'metrics need stage tracker'),
    ("'optim_wrapper.optimizer.lr': 0.001", "'optim_wrapper.optimizer.lr.x': 1", 'variant "late", stage "offline"'),
])
def test_errors_name_the_entry(tmp_path, old, new, message):
    assert old in PLAN
    with pytest.raises(UsageError, match=message):
        Plan(write_plan(tmp_path, PLAN.replace(old, new, 1)))


def test_items_of_lists_are_found_by_type():
    cfg = Config(dict(pipeline=[dict(type='mmdet.Load'), dict(type='TubeMask', prob=0.5, keep=1)]))
    apply_overrides(cfg, {'pipeline.TubeMask.prob': 0.0, 'pipeline.Load.size': 3, 'pipeline.0.more': 4}, 'test')
    assert cfg.pipeline == [dict(type='mmdet.Load', size=3, more=4), dict(type='TubeMask', prob=0.0, keep=1)]
    with pytest.raises(UsageError, match='0 items of type Nothing.*Load, TubeMask'):
        apply_overrides(cfg, {'pipeline.Nothing.prob': 0.0}, 'test')


def test_hash_does_not_depend_on_the_order_of_keys():
    assert short_hash(dict(a=1, b=[2])) == short_hash(dict(b=[2], a=1)) != short_hash(dict(a=1, b=[3]))


@pytest.mark.parametrize('name', sorted(path.stem for path in PLANS.glob('[!_]*_*.py') if 'testbed' not in path.stem))
def test_plans_of_the_repository(name):
    plan = Plan(str(PLANS / f'{name}.py'), seeds=[0])
    assert {run.variant for run in plan.runs} > {plan.baseline}
    # every variant is trained or tested in a way of its own, and its masks can be built
    ways = {(*run.evaluations.values(), *(training.key for training in run.trainings.values())) for run in plan.runs}
    assert len(ways) == len(plan.runs)
    for training in plan.trainings.values():
        masks = [transform for transform in training.cfg.train_dataloader.dataset.pipeline
                 if transform['type'] in ('RandomPatchMask', 'TubeMask')]
        # the baseline may be a config without masks, and the plan of OMA alone has none at all
        unmasked = name == 'oma_synthetic' or training.used_by == [plan.baseline] and not masks
        assert len(masks) == (training.stage != 'offline' and not unmasked)
        for mask in masks:
            TRANSFORMS.build(mask)
        for evaluation in training.evaluations.values():
            dataset, *_ = innermost_datasets(evaluation.cfg.test_dataloader.dataset)
            for transform in dataset['pipeline']:
                if transform['type'] in ('RandomPatchMask', 'DropFrames', 'CorruptFrames'):
                    TRANSFORMS.build(transform)


def test_corruptions_of_an_evaluation_come_before_packing():
    plan = Plan(str(PLANS / 'robust_encoder_only_synthetic.py'), seeds=[0], variants=['mvc'])
    training = next(iter(plan.trainings.values()))
    tests = {evaluation.name: evaluation for evaluation in training.evaluations.values()}
    pipelines = {name: list(innermost_datasets(test.cfg.test_dataloader.dataset))[0]['pipeline']
                 for name, test in tests.items()}
    assert [step['type'] for step in pipelines['clean']] == [
        'SampleAllFrames', 'TransformBroadcaster', 'PackVideoSegInputs']
    assert pipelines['noise'][-2] == dict(type='CorruptFrames', corruption='gaussian_noise', severity=2)
    assert pipelines['dropped50'][-2] == dict(type='DropFrames', prob=0.5)
    assert all(pipeline[-1]['type'] == 'PackVideoSegInputs' for pipeline in pipelines.values())
    assert len({test.key for test in tests.values()}) == 9
