# Copyright (c) The mmvc contributors. All rights reserved.
"""The plan of an ablation, and the trainings that it needs. Equal trainings are listed once."""

import copy
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmvc.engine import Stage, load_config, load_stages, read_config, stage_names
from mmvc.utils.dataset_configs import innermost_datasets
from mmvc.utils.errors import UsageError

from .config_hash import short_hash, to_plain
from .overrides import apply_overrides

# The entries of a config that influence the weights; the others are about logs and files.
_TRAINING_KEYS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks',
                  'randomness', 'load_from', 'runner_type', 'auto_scale_lr')
_TEST_KEYS = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg', 'randomness')
_PLAN_KEYS = dict(title=str, config=str, baseline=str, variants=list, seeds=list, metrics=list, evaluations=list,
                  overrides=dict, data=dict, data_root=str)


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Args:
        name (str): Heading of the column.
        stage (str): Stage whose weights are evaluated.
        number (str): Name of the number, e.g. ``'vss/mIoU'``.
        evaluation (str): Name of the evaluation. Defaults to ``'clean'``.
        minus (str, optional): Name of another evaluation whose number is subtracted. Defaults to None.
        higher_is_better (bool): Whether a higher number is better. Defaults to True.
    """
    name: str
    stage: str
    number: str
    evaluation: str = 'clean'
    minus: str | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of the weights of a stage.

    Args:
        name (str): Name of the evaluation.
        cfg (Config): Config of the test, without work dir and checkpoint.
        attention (bool): Whether to record the attention of the refiner, if the model has one.
        key (str): Name of the file of its numbers, without suffix.
    """
    name: str
    cfg: Config
    attention: bool
    key: str


@dataclass
class Training:
    """A training of one stage with one seed. All variants that are equal up to this stage share it.

    Args:
        key (str): Name of the training and of its folder: stage, seed, and a hash of everything that influences the
            weights, including earlier stages.
        stage (str): Name of the stage.
        seed (int): Seed.
        cfg (Config): Config of the stage.
        parent (Training, optional): The training whose weights it starts from. Defaults to None.
        used_by (list[str]): Names of the variants that use it.
        evaluations (dict[str, Evaluation]): Evaluations of its weights by key.
    """
    key: str
    stage: str
    seed: int
    cfg: Config
    parent: 'Training | None' = None
    used_by: list[str] = field(default_factory=list)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Number of stages before it."""
        return 0 if self.parent is None else self.parent.depth + 1


@dataclass
class Run:
    """A variant with one seed. The runs of all seeds make one row of the table.

    Args:
        variant (str): Name of the variant.
        seed (int): Seed.
        trainings (dict[str, Training]): Trainings by stage, in the order of the stages.
        evaluations (dict[tuple[str, str], str]): (stage, name of the evaluation) -> key of the evaluation.
    """
    variant: str
    seed: int
    trainings: dict[str, Training] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], str] = field(default_factory=dict)


class Plan:
    """An ablation: its variants, seeds and metrics.

    A plan is a config file with these entries:

    - ``title`` (str); ``config`` (str): a config, relative to the plan, that has ``stages``, or one without stages,
      whose only stage is then called ``model``;
    - ``variants`` (list[dict]): each has a ``name``. Optional are ``config`` (another config), ``overrides`` (stage ->
      {key: value}, for training and evaluation) and ``test_overrides`` (stage -> {key: value}, for evaluation only).
      The keys are those of ``--cfg-options``, and items of lists can be named by their type;
    - ``baseline`` (str): the variant that the others are compared with; ``seeds`` (list[int]);
    - ``metrics`` (list[dict]): the columns, see :class:`Metric`. Stages that no metric needs are not trained;
    - ``evaluations`` (list[dict], optional): each has a ``name``. Optional are ``stages`` (list[str]: only these),
      ``mask`` (dict: a masking transform for the test pipeline), ``corruption`` (dict: another transform for it, such
      as ``CorruptFrames`` or ``DropFrames``), ``overrides`` ({key: value}) and ``attention`` (bool: record the
      attention of the refiner as ``attention/*``). Defaults to one evaluation, ``'clean'``;
    - ``overrides`` (dict, optional): {key: value} for all stages of all variants; ``data_root`` (str, optional);
    - ``data`` (dict, optional): generated videos to train on: ``out_dir``, ``preset``, arguments of
      :func:`make_synthetic_dataset` and of :class:`SyntheticVideoConfig`.

    Args:
        path (str): Config file of the plan.
        data_root (str, optional): Folder of the dataset, instead of that of the plan. No videos are generated then.
            Defaults to None.
        cfg_options (dict, optional): Overrides for all stages of all variants, after those of the plan. Defaults to
            None.
        seeds (Sequence[int], optional): Seeds, instead of those of the plan. Defaults to None.
        variants (Sequence[str], optional): Names of the variants to use, in addition to the baseline. Defaults to
            None: all.

    Raises:
        UsageError: An entry of the plan is missing or wrong. The message names it.
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
        """All trainings in the order of their stages, so that each one follows the one that it starts from."""
        return sorted(self.trainings.values(), key=lambda training: training.depth)

    def _error(self, message: str) -> UsageError:
        """Make an error that names the plan."""
        return UsageError(f'plan "{self.path}": {message}')

    def _check(self, cfg: Config) -> None:
        """Check the entries of the plan that need no config of a model."""
        for key in ('config', 'baseline', 'variants', 'seeds', 'metrics'):
            if not cfg.get(key):
                raise self._error(f'{key} is missing or empty: set it')
        for key, kind in _PLAN_KEYS.items():
            if cfg.get(key) is not None and not isinstance(cfg[key], kind):
                raise self._error(f'{key} must be a {kind.__name__}, found {cfg[key]!r}')
        for i, variant in enumerate(cfg.variants):
            unknown = sorted(set(variant) - {'name', 'config', 'overrides', 'test_overrides'})
            if 'name' not in variant or unknown:
                raise self._error(f'variants[{i}] needs a name and takes config, overrides and test_overrides'
                                  + (f', not {", ".join(unknown)}' if unknown else ''))
        names = [variant['name'] for variant in cfg.variants]
        if len(set(names)) < len(names):
            raise self._error(f'variants share a name: {", ".join(names)}. Give each variant another name')
        if cfg.baseline not in names:
            raise self._error(f'the baseline "{cfg.baseline}" is not among the variants {", ".join(names)}: name one '
                              'of them')
        if len(set(cfg.seeds)) < len(cfg.seeds):
            raise self._error(f'seeds {cfg.seeds} repeat: list each seed once')

    def _metric(self, index: int, entry: dict) -> Metric:
        try:
            return Metric(**entry)
        except TypeError as error:
            raise self._error(f'metrics[{index}]: {error}') from error

    def _select(self, variants: list[dict], names: Sequence[str] | None) -> list[dict]:
        """Return the variants of the given names, and the baseline."""
        unknown = sorted(set(names or ()) - {variant['name'] for variant in variants})
        if unknown:
            raise self._error(f'no variant {", ".join(unknown)}: there are '
                              f'{", ".join(variant["name"] for variant in variants)}')
        return [variant for variant in variants
                if names is None or variant['name'] in names or variant['name'] == self.baseline]

    def _check_evaluations(self) -> None:
        """Check the evaluations, and that those of the metrics exist."""
        names = [entry['name'] for entry in self._evaluations]
        for i, entry in enumerate(self._evaluations):
            unknown = sorted(set(entry) - {'name', 'stages', 'mask', 'corruption', 'overrides', 'attention'})
            if unknown:
                raise self._error(f'evaluations[{i}] takes name, stages, mask, corruption, overrides and attention, '
                                  f'not {", ".join(unknown)}')
        for metric in self.metrics:
            for name in (metric.evaluation, metric.minus):
                if name is not None and name not in names:
                    raise self._error(f'metric "{metric.name}" needs evaluation "{name}": there are '
                                      f'{", ".join(names)}')

    def _expand(self, variant: dict, seed: int) -> Run:
        """List the trainings and evaluations of a variant; those that other variants have already are shared."""
        run = Run(variant['name'], seed)
        stages = self._stages(variant)
        names = [stage.name for stage in stages]
        parent: Training | None = None
        for stage in stages[:self._count_needed(variant, names)]:
            source = f'plan "{self.path}", variant "{run.variant}", stage "{stage.name}"'
            self._apply_overrides(stage.cfg, variant, stage.name, seed, source)
            training = self._training(stage.name, seed, stage.cfg, parent)
            training.used_by.append(run.variant)
            run.trainings[stage.name] = training
            test_overrides = (variant.get('test_overrides') or {}).get(stage.name) or {}
            for entry in self._evaluations:
                if self._is_needed(entry['name'], stage.name) and stage.name in entry.get('stages', names):
                    evaluation = self._evaluation(stage.cfg, entry, test_overrides, source)
                    training.evaluations.setdefault(evaluation.key, evaluation)
                    run.evaluations[stage.name, evaluation.name] = evaluation.key
            parent = training
        return run

    def _count_needed(self, variant: dict, names: list[str]) -> int:
        """Check the stages that a variant and the metrics name; return how many stages must be trained."""
        for part in ('overrides', 'test_overrides'):
            unknown = sorted(set(variant.get(part) or {}) - set(names))
            if unknown:
                raise self._error(f'variant "{variant["name"]}": {part} of stage {", ".join(unknown)}, the config has '
                                  f'{", ".join(names)}')
        needed = {metric.stage for metric in self.metrics}
        if needed - set(names):
            raise self._error(f'metrics need stage {", ".join(sorted(needed - set(names)))}, the config of variant '
                              f'"{variant["name"]}" has {", ".join(names)}')
        return 1 + max(names.index(name) for name in needed)

    def _apply_overrides(self, cfg: Config, variant: dict, stage: str, seed: int, source: str) -> None:
        """Change the config of a stage as the plan, the variant, the command line and the seed say."""
        of_variant = (variant.get('overrides') or {}).get(stage) or {}
        for overrides in (self._overrides, of_variant, self._cfg_options):
            apply_overrides(cfg, overrides, source)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)

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
        """Return the training of a config: an existing one if it is equal, otherwise a new one."""
        content = short_hash({key: cfg.get(key) for key in _TRAINING_KEYS}, self.data, parent and parent.key)
        key = f'{stage}-s{seed}-{content}'
        return self.trainings.setdefault(key, Training(key, stage, seed, cfg, parent))

    def _evaluation(self, cfg: Config, entry: dict, test_overrides: dict, source: str) -> Evaluation:
        """Make an evaluation from the config of a stage and an entry of ``evaluations``."""
        cfg = Config(to_plain(cfg), filename=cfg.filename)
        apply_overrides(cfg, {**(entry.get('overrides') or {}), **test_overrides}, source)
        if cfg.get('test_dataloader') is None:
            raise UsageError(f'{source}: config "{cfg.filename}" has no test_dataloader: add one, since the stage is '
                             'evaluated on it')
        added = [dict(prob=1.0, **entry['mask'])] if entry.get('mask') else []
        if entry.get('corruption'):
            added.append(dict(entry['corruption']))
        for dataset in innermost_datasets(cfg.test_dataloader.dataset) if added else []:
            *first, packing = dataset['pipeline']
            dataset['pipeline'] = [*first, *added, packing]
        cfg.randomness = dict(cfg.randomness, seed=0)  # the same masks for all seeds of the training
        attention = bool(entry.get('attention'))
        content = short_hash({key: cfg.get(key) for key in _TEST_KEYS}, attention)
        return Evaluation(entry['name'], cfg, attention, f'{entry["name"]}-{content}')
