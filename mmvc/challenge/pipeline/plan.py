# Copyright (c) The mmvc contributors. All rights reserved.
"""The entries of a challenge config, checked before anything is computed."""

import inspect
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmvc.datasets import BaseVideoSegDataset
from mmvc.engine import require_checkpoint
from mmvc.models.tta import VOTINGS
from mmvc.registry import DATASETS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError
from mmvc.utils.names import find_name_fault
from mmvc.utils.type_names import type_class

from ..aggregation.ssim import TREATMENTS, WINDOW, require_window
from ..correction import (
    VSPW_GROUPS,
    AmbiguousGroup,
    CorrectionSettings,
    GroupTable,
    MultimodalBackend,
    OpenAIBackend,
    TransformersBackend,
)
from ..correction.asking import check_rate

AGGREGATION, CORRECTION = 'aggregation', 'correction'  # the steps besides the models
BACKENDS = dict(openai=OpenAIBackend, transformers=TransformersBackend)
TTA_KEYS = ('scales', 'flip', 'voting')


@dataclass
class ModelPlan:
    """One prediction of the videos: by a model, or as a folder that exists already.

    Args:
        name (str): Name in the report and of its folder.
        config (str): Config of the model. Defaults to '': there are ``predictions``.
        checkpoint (str): Checkpoint of the model. Defaults to '': there are ``predictions``.
        stage (str, optional): Stage of the config that the checkpoint is of. Defaults to None: the last stage.
        tta (bool | dict): Test-time augmentation. True takes ``tta_model`` and ``tta_pipeline`` of the config, or the
            scales of the paper if the config has none. A dict has any of the keys ``scales``, ``flip`` and ``voting``.
            Defaults to False.
        predictions (str, optional): Folder of ``<video>/<frame>.png``, class indices. It takes the place of a model.
            Defaults to None.

    Raises:
        UsageError: An entry is missing, unknown or out of range.
    """
    name: str
    config: str = ''
    checkpoint: str = ''
    stage: str | None = None
    tta: Any = False
    predictions: str | None = None

    def __post_init__(self) -> None:
        if osp.basename(self.name) != self.name or find_name_fault(self.name, 'models') is not None \
                or self.name in (AGGREGATION, CORRECTION):
            raise UsageError('the name is used for a folder, so it must be a plain one and not that of a step: choose '
                             'another one')
        if self.predictions is None:
            if not (self.config and self.checkpoint):
                raise UsageError('it needs config and checkpoint, or predictions (a folder of PNGs)')
        elif self.config or self.checkpoint or self.stage or self.tta:
            raise UsageError('it has predictions, so config, checkpoint, stage and tta have no effect: drop one side')
        if isinstance(self.tta, dict):
            unknown = set(self.tta) - set(TTA_KEYS)
            if unknown:
                raise UsageError(f'tta has {", ".join(sorted(unknown))}: expected any of {", ".join(TTA_KEYS)}')
            for scale in self.tta.get('scales', ()):
                check_number('a scale of tta', scale, 0, above=True)
            if self.tta.get('voting', VOTINGS[0]) not in VOTINGS:
                raise UsageError(f'tta.voting = {self.tta["voting"]!r}: expected one of {", ".join(VOTINGS)}')

    def describe(self) -> str:
        """Describe the model in a few words, for the report."""
        if self.predictions is not None:
            return 'given'
        if not self.tta:
            return 'scale 1.0'
        if self.tta is True:
            return 'TTA'
        scales = ', '.join(f'{scale:.1f}' for scale in self.tta.get('scales', ())) or 'default scales'
        flip = ' + flip' if self.tta.get('flip', True) else ''
        return f'{scales}{flip}{", soft" if self.tta.get("voting") == "soft" else ""}'


@dataclass
class AggregationPlan:
    """Arguments of :func:`aggregate_folders`.

    Args:
        models (Sequence[str]): Names of two or more models. The first one is chosen if scores are equal.
        treatment (str): How label maps are compared, see :func:`label_similarity`. Defaults to ``'classes'``.
        window (int): Side of the SSIM window in pixels. Defaults to 7.

    Raises:
        UsageError: An argument is out of range.
    """
    models: Sequence[str]
    treatment: str = TREATMENTS[0]
    window: int = WINDOW

    def __post_init__(self) -> None:
        if len(set(self.models)) < 2:
            raise UsageError(f'models = {list(self.models)}: name two or more models')
        if self.treatment not in TREATMENTS:
            raise UsageError(f'treatment = {self.treatment!r}: expected one of {", ".join(TREATMENTS)}')
        require_window(self.window)


@dataclass
class CorrectionPlan:
    """The settings of the category correction.

    Args:
        backend (dict): ``type``, ``'openai'`` or ``'transformers'``, and the arguments of :class:`OpenAIBackend` or
            :class:`TransformersBackend`.
        groups (Sequence[dict], optional): Arguments of :class:`AmbiguousGroup`. Defaults to None: those of VSPW.
        settings (dict): Arguments of :class:`CorrectionSettings`.
        cache (str, optional): Folder of the cached answers. Defaults to None: ``correction/cache`` in the work dir.
        requests_per_minute (float, optional): Highest rate of requests. Defaults to None: no limit.
        retries (int): Number of retries after a temporary error. Defaults to 5.

    Raises:
        UsageError: An entry is unknown or out of range.
    """
    backend: dict
    groups: Sequence[dict] | None = None
    settings: dict = field(default_factory=dict)
    cache: str | None = None
    requests_per_minute: float | None = None
    retries: int = 5

    def __post_init__(self) -> None:
        arguments = dict(self.backend)
        kind = arguments.pop('type', None)
        if kind not in BACKENDS:
            raise UsageError(f'backend.type = {kind!r}: expected one of {", ".join(BACKENDS)}')
        try:  # the backend is built only for the first question, which may be days later
            inspect.signature(BACKENDS[kind]).bind(**arguments)
        except TypeError as error:
            raise UsageError(f'backend: {error}') from error
        if 'timeout' in arguments:
            check_number('backend.timeout', arguments['timeout'], 0, above=True)
        check_rate(self.requests_per_minute, self.retries)
        _build('settings', CorrectionSettings, self.settings)

    def table(self, classes: Sequence[str]) -> GroupTable:
        """Return the groups of confusable classes.

        Args:
            classes (Sequence[str]): Names of the classes of the dataset.

        Raises:
            UsageError: The groups do not fit the classes.
        """
        groups = VSPW_GROUPS if self.groups is None else [
            _build(f'correction.groups[{index}]', AmbiguousGroup, group) for index, group in enumerate(self.groups)]
        try:
            return GroupTable(groups, classes)
        except ValueError as error:
            hint = ''
            if self.groups is None:
                hint = ' (correction.groups is not set, and those of VSPW do not fit: set groups of your classes)'
            raise UsageError(f'correction.groups: {error}{hint}') from error

    def build_backend(self) -> MultimodalBackend:
        """Build the multimodal model."""
        arguments = dict(self.backend)
        return _build('correction.backend', BACKENDS[arguments.pop('type')], arguments)


@dataclass
class ChallengePlan:
    """A challenge config, see :func:`load_plan`.

    Args:
        dataset (dict): Config of a :class:`BaseVideoSegDataset`: the videos to predict.
        models (dict[str, ModelPlan]): The predictions by name, in the order of the report.
        aggregation (AggregationPlan, optional): Settings of the aggregation. Defaults to None: off.
        correction (CorrectionPlan, optional): Settings of the category correction. Defaults to None: off.
    """
    dataset: dict
    models: dict[str, ModelPlan]
    aggregation: AggregationPlan | None = None
    correction: CorrectionPlan | None = None

    def build_dataset(self) -> BaseVideoSegDataset:
        """Build the dataset without a pipeline; no file is read yet."""
        return DATASETS.build(dict(self.dataset, pipeline=[], test_mode=True, lazy_init=True))


def load_plan(cfg: Config) -> ChallengePlan:
    """Check a challenge config.

    Args:
        cfg (Config): Config with ``dataset`` and ``models``, and optionally ``aggregation`` and ``correction`` (dict
            or None). Paths of model configs are relative to the folder of the challenge config.

    Returns:
        ChallengePlan: The checked entries.

    Raises:
        UsageError: An entry is missing, unknown or out of range, or a file does not exist.
    """
    path = cfg.filename
    missing = [key for key in ('dataset', 'models') if not cfg.get(key)]
    if missing:
        raise UsageError(f'config "{path}" has no `{missing[0]}`: see configs/challenge/ for examples')
    kind = type_class(cfg.dataset, DATASETS)
    if kind is None or not issubclass(kind, BaseVideoSegDataset):
        raise UsageError(f'config "{path}": dataset.type = {cfg.dataset.get("type")!r} is not a dataset for video '
                         'semantic segmentation: set it to VSPWDataset or another subclass of BaseVideoSegDataset')
    models = {}
    for name, entry in cfg.models.items():
        model = _build(f'models["{name}"]', ModelPlan, dict(entry, name=name))
        if model.config:
            model.config = osp.normpath(osp.join(osp.dirname(path), model.config))
        _check_files(model)
        models[name] = model
    plan = ChallengePlan(
        dataset=cfg.dataset.to_dict(),
        models=models,
        aggregation=_build('aggregation', AggregationPlan, cfg.get('aggregation')),
        correction=_build('correction', CorrectionPlan, cfg.get('correction')))
    _check_models(plan)
    if plan.correction is not None:
        plan.correction.table(plan.build_dataset().metainfo['classes'])
    return plan


def _build(key: str, kind: type, arguments: dict | None) -> Any:
    """Build an entry; its errors name the key. Return None if there is no such entry."""
    if arguments is None:
        return None
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f'{key}: {error}') from error


def _check_files(model: ModelPlan) -> None:
    """Raise an error if a file or folder of a model does not exist."""
    if model.predictions is not None:
        if not osp.isdir(model.predictions):
            raise UsageError(f'models["{model.name}"].predictions: folder "{model.predictions}" does not exist: '
                             'correct the path, or predict the videos first')
        return
    if not osp.isfile(model.config):
        raise UsageError(f'models["{model.name}"].config: "{model.config}" does not exist (paths are relative to the '
                         'config that names them)')
    require_checkpoint(model.checkpoint)


def _check_models(plan: ChallengePlan) -> None:
    """Raise an error if the models and the aggregation do not fit together."""
    names: list[str] = list(plan.models)
    if plan.aggregation is None:
        if len(names) > 1:
            raise UsageError(f'there are {len(names)} models ({", ".join(names)}) and no aggregation to choose '
                             'between them: set `aggregation`, or leave one model')
        return
    unknown = [name for name in plan.aggregation.models if name not in names]
    if unknown:
        raise UsageError(f'aggregation.models names "{unknown[0]}", but `models` has {", ".join(names)}: name '
                         'models of this list')
