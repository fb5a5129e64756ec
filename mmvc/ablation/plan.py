# Copyright (c) The mmvc contributors. All rights reserved.
"""A plan of an ablation, and the trainings that it takes: each different one once."""

import copy
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from mmvc.engine import Stage, load_config, load_stages, read_config, stage_names
from mmvc.utils.errors import UsageError

from .overrides import apply_overrides, fingerprint

# What decides about the weights; the rest of a config only says what is watched and where it is written.
_TRAINING_KEYS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks',
                  'randomness', 'load_from', 'runner_type', 'auto_scale_lr')
_TEST_KEYS = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg', 'randomness')
_PLAN_KEYS = dict(title=str, config=str, baseline=str, variants=list, seeds=list, metrics=list, evaluations=list,
                  overrides=dict, data=dict, data_root=str)


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Args:
        name (str): Heading.
        stage (str): Stage whose weights are tested.
        number (str): Name of the number, such as ``'vss/mIoU'``.
        evaluation (str): Name of the evaluation. Defaults to ``'clean'``.
        minus (str, optional): Name of an evaluation whose number is subtracted. Defaults to None.
        higher_is_better (bool): Defaults to True.
    """
    name: str
    stage: str
    number: str
    evaluation: str = 'clean'
    minus: str | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class Evaluation:
    """A test of a stage's weights.

    Args:
        name (str): Name.
        cfg (Config): Config of the test, ready for a runner but for the work dir and the checkpoint.
        attention (bool): Whether the attention of the refiner, if there is one, is recorded.
        key (str): Name of the file of its numbers.
    """
    name: str
    cfg: Config
    attention: bool
    key: str


@dataclass
class Training:
    """One training of one stage with one seed, used by all variants that agree up to this stage.

    Args:
        key (str): Name, also of its folder: stage, seed and a fingerprint of everything that decides about the
            weights, those of earlier stages included.
        stage (str): Name of the stage.
        seed (int): Seed.
        cfg (Config): Config of the stage.
        parent (Training, optional): The training whose weights it starts from.
        used_by (list[str]): Variants.
        evaluations (dict[str, Evaluation]): Tests of its weights by key.
    """
    key: str
    stage: str
    seed: int
    cfg: Config
    parent: Optional['Training'] = None
    used_by: list[str] = field(default_factory=list)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Number of stages before it."""
        return 0 if self.parent is None else self.parent.depth + 1


@dataclass
class Run:
    """A variant with a seed: a row's share of the table.

    Args:
        variant (str): Name of the variant.
        seed (int): Seed.
        trainings (dict[str, Training]): By stage, in order.
        evaluations (dict[tuple[str, str], str]): Stage and name of the evaluation -> key of the evaluation.
    """
    variant: str
    seed: int
    trainings: dict[str, Training] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], str] = field(default_factory=dict)


class Plan:
    """An ablation: what is varied, with which seeds, and what is measured.

    A plan is a config file with the entries

    - ``title`` (str); ``config`` (str): a config, relative to the plan, that has ``stages``, or one without stages,
      whose only stage is then called ``model``;
    - ``variants`` (list[dict]): each ``name``, and optionally ``config`` (another one), ``overrides``: stage ->
      {key: value} for its training and all later use, and ``test_overrides``: stage -> {key: value} for testing only.
      Keys as of ``--cfg-options``; items of lists can be named by their type;
    - ``baseline`` (str): the variant that the others are compared with; ``seeds`` (list[int]);
    - ``metrics`` (list[dict]): the columns, see :class:`Metric`. Stages that none of them needs are not trained;
    - ``evaluations`` (list[dict], optional): each ``name``, and optionally ``stages`` (list[str]: only these),
      ``mask`` (dict: a masking transform for the test pipeline), ``overrides`` ({key: value}), ``attention`` (bool:
      record the refiner's attention, numbers ``attention/*``). Defaults to one, ``'clean'``;
    - ``overrides`` (dict, optional): {key: value} for all stages of all variants; ``data_root`` (str, optional);
    - ``data`` (dict, optional): generated videos to train on: ``out_dir``, ``preset``, arguments of
      :func:`make_synthetic_dataset` and of :class:`SyntheticVideoConfig`.

    Args:
        path (str): Config file of the plan.
        data_root (str, optional): Folder of the dataset, instead of the plan's; nothing is generated then.
        cfg_options (dict, optional): Overrides for all stages of all variants, after those of the plan.
        seeds (Sequence[int], optional): Instead of the plan's.
        variants (Sequence[str], optional): Only these; the baseline always takes part.

    Raises:
        UsageError: If the plan is no valid one; the message names the entry.
    """

    def __init__(self,
                 path: str,
                 data_root: str | None = None,
                 cfg_options: dict | None = None,
                 seeds: Sequence[int] | None = None,
                 variants: Sequence[str] | None = None) -> None:
        self.path = path
        self.name = Path(path).stem
        cfg = load_config(path)
        self._check(cfg)
        self.title = cfg.get('title', self.name)
        self.data = None if data_root else cfg.get('data')
        self.baseline = cfg.baseline
        self.seeds = list(seeds or cfg.seeds)
        self.metrics = [self._metric(i, entry) for i, entry in enumerate(cfg.metrics)]
        self._evaluations = cfg.get('evaluations') or [dict(name='clean')]
        self._overrides = dict(cfg.get('overrides') or {})
        self._cfg_options = dict(cfg_options or {})
        self._data_root = data_root or cfg.get('data_root')
        self._config = cfg.config
        self.variants = self._select(cfg.variants, variants)
        self._check_evaluations()
        self._loaded: dict[str, list[Stage]] = {}  # by config file
        self.trainings: dict[str, Training] = {}
        self.runs = [self._expand(variant, seed) for variant in self.variants for seed in self.seeds]

    @property
    def ordered_trainings(self) -> list[Training]:
        """All trainings, each behind the one that it starts from: first all first stages."""
        return sorted(self.trainings.values(), key=lambda training: training.depth)

    def _fail(self, message: str) -> UsageError:
        return UsageError(f'plan "{self.path}": {message}')

    def _check(self, cfg: Config) -> None:
        for key in ('config', 'baseline', 'variants', 'seeds', 'metrics'):
            if not cfg.get(key):
                raise self._fail(f'{key} is missing or empty')
        for key, kind in _PLAN_KEYS.items():
            if cfg.get(key) is not None and not isinstance(cfg[key], kind):
                raise self._fail(f'{key} must be a {kind.__name__}, found {cfg[key]!r}')
        for i, variant in enumerate(cfg.variants):
            unknown = sorted(set(variant) - {'name', 'config', 'overrides', 'test_overrides'})
            if 'name' not in variant or unknown:
                raise self._fail(f'variants[{i}] needs a name and takes config, overrides and test_overrides'
                                 + (f', not {", ".join(unknown)}' if unknown else ''))
        names = [variant['name'] for variant in cfg.variants]
        if len(set(names)) < len(names):
            raise self._fail(f'variants share a name: {", ".join(names)}')
        if cfg.baseline not in names:
            raise self._fail(f'the baseline "{cfg.baseline}" is none of the variants {", ".join(names)}')
        if len(set(cfg.seeds)) < len(cfg.seeds):
            raise self._fail(f'seeds {cfg.seeds} repeat')

    def _metric(self, index: int, entry: dict) -> Metric:
        try:
            return Metric(**entry)
        except TypeError as error:
            raise self._fail(f'metrics[{index}]: {error}') from error

    def _select(self, variants: list[dict], names: Sequence[str] | None) -> list[dict]:
        unknown = sorted(set(names or ()) - {variant['name'] for variant in variants})
        if unknown:
            raise self._fail(f'no variant {", ".join(unknown)}: there are '
                             f'{", ".join(variant["name"] for variant in variants)}')
        return [variant for variant in variants
                if names is None or variant['name'] in names or variant['name'] == self.baseline]

    def _check_evaluations(self) -> None:
        names = [entry['name'] for entry in self._evaluations]
        for i, entry in enumerate(self._evaluations):
            unknown = sorted(set(entry) - {'name', 'stages', 'mask', 'overrides', 'attention'})
            if unknown:
                raise self._fail(f'evaluations[{i}] takes name, stages, mask, overrides and attention, not '
                                 f'{", ".join(unknown)}')
        for metric in self.metrics:
            for name in (metric.evaluation, metric.minus):
                if name is not None and name not in names:
                    raise self._fail(f'metric "{metric.name}" needs evaluation "{name}": there are {", ".join(names)}')

    def _expand(self, variant: dict, seed: int) -> Run:
        """List the trainings of a variant, new ones and those that other variants have."""
        run, parent = Run(variant['name'], seed), None
        stages = self._stages(variant)
        names = [stage.name for stage in stages]
        for part in ('overrides', 'test_overrides'):
            unknown = sorted(set(variant.get(part) or {}) - set(names))
            if unknown:
                raise self._fail(f'variant "{run.variant}": {part} of stage {", ".join(unknown)}, the config has '
                                 f'{", ".join(names)}')
        needed = {metric.stage for metric in self.metrics}
        if needed - set(names):
            raise self._fail(f'metrics need stage {", ".join(sorted(needed - set(names)))}, the config of variant '
                             f'"{run.variant}" has {", ".join(names)}')
        last = max(names.index(name) for name in needed)
        for stage in stages[:last + 1]:
            source = f'plan "{self.path}", variant "{run.variant}", stage "{stage.name}"'
            cfg = stage.cfg
            for overrides in (self._overrides, (variant.get('overrides') or {}).get(stage.name) or {},
                              self._cfg_options):
                apply_overrides(cfg, overrides, source)
            cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
            parent = self._training(stage.name, seed, cfg, parent)
            parent.used_by.append(run.variant)
            run.trainings[stage.name] = parent
            test_overrides = (variant.get('test_overrides') or {}).get(stage.name) or {}
            for entry in self._evaluations:
                if self._is_needed(entry['name'], stage.name) and stage.name in entry.get('stages', names):
                    evaluation = self._evaluation(cfg, entry, test_overrides, source)
                    parent.evaluations.setdefault(evaluation.key, evaluation)
                    run.evaluations[stage.name, evaluation.name] = evaluation.key
        return run

    def _stages(self, variant: dict) -> list[Stage]:
        path = osp.normpath(osp.join(osp.dirname(self.path), variant.get('config', self._config)))

        def load(stage: str | None = None) -> Config:
            return load_config(path, data_root=self._data_root, stage=stage)

        if path not in self._loaded:
            names = stage_names(read_config(path))
            self._loaded[path] = load_stages(names, '', load) if names else [Stage('model', load(), '')]
        return copy.deepcopy(self._loaded[path])

    def _is_needed(self, evaluation: str, stage: str) -> bool:
        return any(metric.stage == stage and evaluation in (metric.evaluation, metric.minus)
                   for metric in self.metrics)

    def _training(self, stage: str, seed: int, cfg: Config, parent: Training | None) -> Training:
        print_of = fingerprint({key: _plain(cfg.get(key)) for key in _TRAINING_KEYS}, _plain(self.data),
                               parent and parent.key)
        key = f'{stage}-s{seed}-{print_of}'
        return self.trainings.setdefault(key, Training(key, stage, seed, cfg, parent))

    def _evaluation(self, cfg: Config, entry: dict, test_overrides: dict, source: str) -> Evaluation:
        cfg = Config(_plain(cfg), filename=cfg.filename)
        apply_overrides(cfg, {**(entry.get('overrides') or {}), **test_overrides}, source)
        if cfg.get('test_dataloader') is None:
            raise UsageError(f'{source}: the config has no test_dataloader, nothing to evaluate on')
        if entry.get('mask'):
            pipeline = list(cfg.test_dataloader.dataset.pipeline)
            cfg.test_dataloader.dataset.pipeline = [*pipeline[:-1], dict(prob=1.0, **entry['mask']), pipeline[-1]]
        cfg.randomness = dict(cfg.randomness, seed=0)  # the same patches for every seed of the training
        attention = bool(entry.get('attention'))
        print_of = fingerprint({key: _plain(cfg.get(key)) for key in _TEST_KEYS}, attention)
        return Evaluation(entry['name'], cfg, attention, f'{entry["name"]}-{print_of}')


def _plain(value: Any) -> Any:
    """Return nested dicts and lists without mmengine's classes."""
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
