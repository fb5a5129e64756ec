# Copyright (c) The mmvc contributors. All rights reserved.
"""Warm-up and decay of the learning rate, against the official schedules of VidEoMT and LVMT."""

import json
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from torch import nn

from mmvc.engine import Stage, accumulate_gradients, enable_auto_scale_lr, load_config, resolve_stage, run_stages
from mmvc.registry import MODELS
from mmvc.utils.errors import UsageError
from tests.helpers.config_files import CONFIG_DIR
from tests.helpers.official_groups import official_groups
from tests.helpers.tiny_stages import TinyModel, write_config

PARTS = ('new', 'encoder')
TWO_PHASES = dict(type='WarmupPolyLR', warmup_iters=2, encoder_warmup_iters=2, by_epoch=False)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmvc')


def base_config() -> Config:
    return Config.fromfile(f'{CONFIG_DIR}/_base_/schedules/encoder_only.py')


def build(cfg, end: int, rates=(1.0, 1.0)):
    """A scheduler of two parameter groups, new and encoder, and its optimizer wrapper."""
    groups = [dict(params=[nn.Parameter(torch.zeros(1))], part=part, lr=rate) for part, rate in zip(PARTS, rates)]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=1.0))
    return PARAM_SCHEDULERS.build(dict(cfg, end=end), default_args=dict(optimizer=wrapper)), wrapper


def official_schedules(data_dir, kind: str) -> dict[int, dict]:
    """By length of the training: the factors by iteration, of all parts or by part."""
    content = json.loads((data_dir / 'encoder_only/schedule.json').read_text())[kind]
    return {int(re.search(r'total (\d+)', name)[1]): {int(i): value for i, value in factors.items()}
            for name, factors in content.items()}


@pytest.mark.parametrize('kind, variable', [('two_stage', 'two_phase_schedule'),
                                            ('warmup_poly', 'one_phase_schedule')])
def test_official_factors(data_dir, kind, variable):
    schedules = official_schedules(data_dir, kind)
    assert len(schedules) >= 3
    for total, expected in schedules.items():
        scheduler, _ = build(base_config()[variable], total)
        for iteration, value in expected.items():
            for part in PARTS:
                official = value[part] if isinstance(value, dict) else value
                assert scheduler.factor(iteration, part) == pytest.approx(official, rel=1e-12, abs=1e-15), iteration


def test_learning_rate_of_every_parameter_in_every_step(data_dir):
    """The whole of VidEoMT's shortest training."""
    (total, schedule), *_ = sorted(official_schedules(data_dir, 'two_stage').items())
    model, groups = official_groups(data_dir, 'videomt_dinov2')
    cfg = base_config()
    wrapper = build_optim_wrapper(model, dict(cfg.optim_wrapper, type='OptimWrapper'))
    names = {parameter: name for name, parameter in model.named_parameters()}
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.two_phase_schedule, end=total), default_args=dict(optimizer=wrapper))
    for iteration in range(total + 1):
        if iteration in schedule:
            for group in wrapper.optimizer.param_groups:
                for parameter in group['params']:
                    factor, _, part = groups[names[parameter]]
                    assert group['lr'] == pytest.approx(1e-4 * factor * schedule[iteration][part], rel=1e-9)
            assert wrapper.get_lr()['base_lr'] == [pytest.approx(1e-4 * schedule[iteration]['new'], rel=1e-9)]
        wrapper.step()  # there are no gradients, so it only counts
        scheduler.step()


@pytest.mark.parametrize('top, stage', [('one_phase_schedule', 'two_phase_schedule'),
                                        ('two_phase_schedule', 'one_phase_schedule')])
def test_a_stage_can_have_the_other_schedule(top, stage):
    cfg = base_config()
    merged = resolve_stage(Config(dict(param_scheduler=cfg[top], stages=dict(first=dict(param_scheduler=cfg[stage])))),
                           'first')
    assert merged.param_scheduler == cfg[stage]


def test_accumulation_keeps_the_schedule_in_updates():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper'), train_cfg=dict(max_iters=10),
                      param_scheduler=dict(TWO_PHASES), auto_scale_lr=dict(base_batch_size=8)))
    accumulate_gradients(cfg, 4)
    enable_auto_scale_lr(cfg)
    assert (cfg.param_scheduler.warmup_iters, cfg.param_scheduler.encoder_warmup_iters) == (8, 8)
    plain, _ = build(TWO_PHASES, 10)
    accumulated, _ = build(cfg.param_scheduler, cfg.train_cfg.max_iters)
    for iteration in range(11):
        for part in PARTS:
            assert accumulated.factor(4 * iteration, part) == pytest.approx(plain.factor(iteration, part))


def test_initial_rates_are_kept():
    scheduler, wrapper = build(TWO_PHASES, 10, rates=(2.0, 0.5))
    rates = []
    for _ in range(5):
        rates.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        scheduler.step()
    assert rates[:3] == [[0, 0], [1, 0], [2, 0]] and rates[3][1] == 0.25 and rates[4][1] == 0.5


def test_a_state_dict_goes_on_exactly():
    cfg = dict(TWO_PHASES, power=0.7)
    scheduler, wrapper = build(cfg, 12, rates=(0.3, 0.7))
    again = None
    for iteration in range(12):
        if iteration == 5:
            again, restored = build(cfg, 12, rates=(0.3, 0.7))
            restored.load_state_dict(wrapper.state_dict())
            again.load_state_dict(scheduler.state_dict())
        for one, its_wrapper in ((scheduler, wrapper), *([] if again is None else [(again, restored)])):
            its_wrapper.step()
            one.step()
        if again is not None:
            assert again.get_last_value() == scheduler.get_last_value()
    assert scheduler.get_last_value() == [0.0] * 3


def test_a_training_shorter_than_the_warm_up(monkeypatch):
    lines = []
    monkeypatch.setattr('mmvc.engine.optim.warmup_poly_lr.print_log', lambda message, **kwargs: lines.append(message))
    scheduler, _ = build(TWO_PHASES, 3)
    assert [scheduler.factor(i, 'encoder') for i in range(4)] == [0, 0, 0, 0]
    assert [scheduler.factor(i) for i in range(4)] == [0, 0.5, 1, 0]
    line, = lines
    assert 'warms up over 4 iterations, but the schedule ends at 3' in line
    assert 'reduce warmup_iters and encoder_warmup_iters' in line
    build(dict(TWO_PHASES, encoder_warmup_iters=None), 3)
    assert len(lines) == 1


@pytest.mark.parametrize('changes, message', [
    (dict(by_epoch=True), 'counts iterations: set by_epoch=False'),
    (dict(warmup_iters=-1), 'param_scheduler.warmup_iters must be at least 0'),
    (dict(encoder_warmup_iters=0.5), 'param_scheduler.encoder_warmup_iters .* whole number'),
    (dict(power=float('nan')), 'param_scheduler.power must be at least 0'),
])
def test_wrong_settings(changes, message):
    with pytest.raises(UsageError, match=message):
        build(dict(TWO_PHASES, **changes), 10)


@MODELS.register_module()
class TinyEncoderModel(TinyModel):
    """Two blocks, a norm and a head."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = nn.Module()
        self.encoder.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.encoder.norm = nn.LayerNorm(4)

    def predict(self, inputs):
        x = self.backbone(inputs)
        for block in self.encoder.blocks:
            x = x + block(x)
        return self.head(self.encoder.norm(x)).squeeze(1)


class TestTraining:
    """The runner builds and resumes both; iterations of 12, of which the checkpoints have the rates."""

    @pytest.fixture
    def train(self, tmp_path):
        path = write_config(tmp_path, dict(only=('TinyEncoderModel', 12)))

        def function(work_dir, resume=False, **options):
            cfg = load_config(path, {
                'optim_wrapper': dict(constructor='LayerDecayOptimWrapperConstructor',
                                      optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05, _delete_=True),
                                      paramwise_cfg=dict(decay_rate=0.5)),
                'param_scheduler': dict(TWO_PHASES), 'custom_hooks': [], 'default_hooks.checkpoint.interval': 1,
                'default_hooks.checkpoint.max_keep_ckpts': 99,
                **{key.replace('__', '.'): value for key, value in options.items()}})
            cfg.work_dir = str(tmp_path / work_dir)
            run_stages([Stage('', cfg, cfg.work_dir)], resume=resume)
            return tmp_path / work_dir

        return function

    @staticmethod
    def checkpoint(folder, iteration):
        return torch.load(folder / f'iter_{iteration}.pth', weights_only=False)

    def rates(self, folder, iteration):
        """By part and factor: the rate of the step after an iteration."""
        return {(group['part'], group['initial_lr']): group['lr']
                for group in self.checkpoint(folder, iteration)['optimizer']['param_groups']}

    def test_rates_and_resumption(self, train):
        whole = train('whole')
        expected, _ = build(TWO_PHASES, 12)
        for iteration in range(1, 13):
            assert self.rates(whole, iteration) == {
                (part, rate): pytest.approx(rate * expected.factor(iteration, part))
                for part, rate in (('new', 0.1), ('encoder', 0.1), ('encoder', 0.05))}
        weights = [self.checkpoint(whole, i)['state_dict'] for i in range(1, 13)]
        changed = [{name.split('.')[0] for name in weights[0] if not torch.equal(old[name], new[name])}
                   for old, new in zip(weights, weights[1:])]
        # the second step is the first one of the new parameters, the fourth that of the encoder
        assert changed[:3] == [{'backbone', 'head'}] * 2 + [{'backbone', 'head', 'encoder'}]
        part = train('part')
        for iteration in range(4, 13):
            (part / f'iter_{iteration}.pth').unlink()
        train('part', resume=True)
        assert all(self.rates(part, i) == self.rates(whole, i) for i in range(4, 13))
        again = self.checkpoint(part, 12)['state_dict']
        assert all(torch.equal(weights[-1][name], again[name]) for name in again)

    def test_the_learning_rate_is_scaled(self, train):
        scaled = train('scaled', train_cfg__max_iters=3, auto_scale_lr=dict(enable=True, base_batch_size=8))
        assert set(self.rates(scaled, 1)) == {('new', 0.025), ('encoder', 0.025), ('encoder', 0.0125)}
        assert self.rates(scaled, 1)['new', 0.025] == pytest.approx(0.0125)

    def test_a_prolonged_training(self, train):
        whole = train('whole', train_cfg__max_iters=16)
        train('part')
        part = train('part', resume=True, train_cfg__max_iters=16)
        assert all(self.rates(part, i) == self.rates(whole, i) for i in range(13, 17))

    def test_another_warm_up(self, train):
        changed = dict(TWO_PHASES, warmup_iters=4)
        whole = train('whole', param_scheduler=changed)
        part = train('part')
        for iteration in range(4, 13):
            (part / f'iter_{iteration}.pth').unlink()
        train('part', resume=True, param_scheduler=changed)
        assert all(self.rates(part, i) == self.rates(whole, i) for i in range(4, 13))

    def test_an_end_that_is_too_early(self, train):
        scheduler = dict(TWO_PHASES, end=12)
        train('part', param_scheduler=scheduler)
        with pytest.raises(UsageError, match='ends at 12 with a learning rate of 0'):
            train('part', resume=True, param_scheduler=scheduler, train_cfg__max_iters=16)
