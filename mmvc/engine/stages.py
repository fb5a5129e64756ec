# Copyright (c) The mmvc contributors. All rights reserved.
"""Several trainings from one config: each stage starts from the weights of the stage before.

A config with ``stages`` (:mod:`mmvc.engine.stage_config`) is trained stage by stage, each in its own work dir. A
stage is finished if its marker file ``finished.json`` names an intact checkpoint. The marker is written last, and
atomically. So the job can be killed at any time and started again.
"""

import gc
import json
import logging
import os.path as osp
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvc.utils.atomic import atomic_write, remove_drafts
from mmvc.utils.errors import UsageError

from .checkpoints import is_intact_checkpoint, is_training_checkpoint, last_good_checkpoint, periodic_checkpoints
from .config import build_runner
from .distributed import on_main_process
from .hooks import AtomicCheckpointHook, CheckWeightsHook, FinalMetricsHook
from .summary import format_summary

MARKER = 'finished.json'
SUMMARY = 'summary.json'


@dataclass
class Stage:
    """One of several trainings.

    Args:
        name (str): Name, also of its folder in the work dir.
        cfg (Config): Its config, ready for a runner.
        work_dir (str): Its own work dir.
    """
    name: str
    cfg: Config
    work_dir: str

    @property
    def schedule(self) -> dict[str, int]:
        """Length of the training: ``max_iters`` or ``max_epochs``."""
        return {key: self.cfg.train_cfg[key] for key in ('max_iters', 'max_epochs') if key in self.cfg.train_cfg}

    def holds_results(self) -> bool:
        """Whether its work dir has a marker or a checkpoint."""
        return Path(self.work_dir, MARKER).exists() or bool(periodic_checkpoints(self.work_dir))

    def marker(self) -> dict | None:
        """Read the marker, without looking at the checkpoint.

        Returns:
            dict | None: ``checkpoint`` (path), ``iter`` and ``metrics``, or None if there is no marker or the stage
            was trained for another schedule than the config's.
        """
        marker = Path(self.work_dir, MARKER)
        if not marker.exists():
            return None
        content = json.loads(marker.read_text())
        content['checkpoint'] = osp.normpath(osp.join(self.work_dir, content['checkpoint']))
        if content['schedule'] != self.schedule:
            print_log(f'Stage "{self.name}" was trained for {content["schedule"]}, its config says {self.schedule}: '
                      'not finished', logger='current', level=logging.WARNING)
            return None
        return content

    def finished(self) -> bool:
        """Whether there is a marker and the final checkpoint that it names is intact."""
        content = self.marker()
        if content is not None and not is_intact_checkpoint(content['checkpoint']):
            print_log(f'Stage "{self.name}": its final checkpoint "{content["checkpoint"]}" is missing or broken: not '
                      'finished', logger='current', level=logging.WARNING)
            return False
        return content is not None

    def final_checkpoint(self) -> str:
        """Path of the checkpoint that its marker names.

        Raises:
            UsageError: The stage is not finished.
        """
        content = self.marker()
        if content is None:
            raise UsageError(f'stage "{self.name}" is not finished: see "{self.work_dir}"')
        return content['checkpoint']

    def mark_finished(self, checkpoint: str, iteration: int, metrics: dict[str, float]) -> None:
        """Write the marker. Call it after everything else.

        Args:
            checkpoint (str): Final checkpoint.
            iteration (int): Iteration it was saved at.
            metrics (dict[str, float]): Numbers of the final validation.
        """
        content = dict(checkpoint=osp.relpath(checkpoint, self.work_dir), iter=iteration, schedule=self.schedule,
                       metrics=metrics)
        atomic_write(Path(self.work_dir, MARKER), json.dumps(content, indent=2).encode())

    def discard_results(self) -> None:
        """Remove marker and checkpoints, but no logs and no files that the user put there.

        The marker goes first, so that the rest never looks finished.
        """
        Path(self.work_dir, MARKER).unlink(missing_ok=True)
        for path in Path(self.work_dir).glob('*.pth'):
            if is_training_checkpoint(path.name) and not path.is_dir():
                path.unlink()
        Path(self.work_dir, 'last_checkpoint').unlink(missing_ok=True)
        for pattern in ('*.pth', 'last_checkpoint'):
            remove_drafts(self.work_dir, pattern)


def load_stages(names: Sequence[str], work_dir: str, load: Callable[[str], Config]) -> list[Stage]:
    """Load the configs of the stages of a training.

    Args:
        names (Sequence[str]): Names of the stages in the order of training, see :func:`stage_names`.
        work_dir (str): Each stage works in ``<work_dir>/<name>``.
        load (Callable): Returns the config of the stage of a name, see :func:`load_config`.

    Returns:
        list[Stage]: Stages in the order of training.

    Raises:
        UsageError: If a stage has nothing to train.
    """
    stages = []
    for name in names:
        cfg = load(name)
        if not cfg.get('train_cfg'):
            raise UsageError(f'config "{cfg.filename}": stage "{name}" has no train_cfg, so there is nothing to '
                             'train. Add train_cfg to the config')
        cfg.work_dir = osp.join(work_dir, name)
        cfg.experiment_name = name
        stages.append(Stage(name, cfg, cfg.work_dir))
    return stages


@dataclass(frozen=True)
class Step:
    """What to do for a stage.

    Args:
        name (str): Name of the stage.
        action (str): ``skip`` (finished), ``resume`` or ``start``.
        checkpoint (str, optional): Checkpoint to resume from.
    """
    name: str
    action: str
    checkpoint: str | None = None


def plan_stages(stages: Sequence[Stage],
                selected: Sequence[str] | None = None,
                resume: bool = False,
                overwrite: bool = False) -> list[Step]:
    """Plan the remaining work from the content of the work dirs.

    Args:
        stages (Sequence[Stage]): All stages of the config.
        selected (Sequence[str], optional): Names of the stages to run. Defaults to None (all).
        resume (bool): Skip finished stages and resume the unfinished one. Defaults to False.
        overwrite (bool): Discard the results of the selected stages and start them again. Defaults to False.

    Returns:
        list[Step]: One per selected stage, in the order of training.

    Raises:
        UsageError: A selected name is unknown; results would be overwritten, or become outdated, without
            ``overwrite``; or a selected stage has no weights to start from, because the stage before is not finished.
    """
    names = [stage.name for stage in stages]
    unknown = sorted(set(selected or ()) - set(names))
    if unknown:
        raise UsageError(f'there is no stage {", ".join(unknown)}: the config has {", ".join(names)}')
    if resume and overwrite:
        raise UsageError('--resume and --overwrite exclude each other: drop one of them')
    chosen = [stage for stage in stages if selected is None or stage.name in selected]
    used = [stage for stage in chosen if stage.holds_results()]
    if used and not (resume or overwrite):
        raise UsageError(f'"{used[0].work_dir}" holds results of stage "{used[0].name}": go on with --resume, discard '
                         'them with --overwrite, or choose another --work-dir')

    steps = []
    for stage in chosen:
        if resume and stage.finished():
            steps.append(Step(stage.name, 'skip'))
            continue
        index = names.index(stage.name)
        before = stages[index - 1] if index else None
        if before is not None and before not in chosen and not before.finished():
            _check_load_from(stage, before)
        stale = [later.name for later in stages[index + 1:]
                 if later.holds_results() and not (overwrite and later in chosen)]
        if stale:
            raise UsageError(f'stage "{stage.name}" is to be trained, but stage(s) {", ".join(stale)} in '
                             f'"{osp.dirname(stage.work_dir)}" were trained from it: discard them with --overwrite '
                             f'--stage {stage.name} {" ".join(stale)}, or choose another --work-dir')
        checkpoint = last_good_checkpoint(stage.work_dir) if resume else None
        steps.append(Step(stage.name, 'resume' if checkpoint else 'start', checkpoint))
    if overwrite:
        for stage in reversed(chosen):  # if this is killed, no later stage is left without the one before it
            stage.discard_results()
    return steps


def run_stages(stages: Sequence[Stage],
               selected: Sequence[str] | None = None,
               resume: bool = False,
               overwrite: bool = False) -> dict[str, dict[str, float]]:
    """Train stages in turn, then print and write the summary (``summary.json`` beside the stages' work dirs).

    Args:
        stages (Sequence[Stage]): All stages of the config, see :func:`load_stages`.
        selected (Sequence[str], optional): Names of the stages to run. Defaults to None (all).
        resume (bool): Skip finished stages and resume the unfinished one. Defaults to False.
        overwrite (bool): Discard the results of the selected stages. Defaults to False.

    Returns:
        dict[str, dict[str, float]]: Numbers of the final validation of every finished stage.

    Raises:
        UsageError: See :func:`plan_stages`.
    """
    steps = on_main_process(lambda: plan_stages(stages, selected, resume, overwrite))
    names = [stage.name for stage in stages]
    for step in steps:
        _check_loop(stages[names.index(step.name)])
    for step in steps:
        index = names.index(step.name)
        if step.action == 'skip':
            print_log(f'Stage "{step.name}" is finished: skipped', logger='current')
            continue
        init = on_main_process(partial(_weights, stages[index], stages[index - 1])) if index else None
        _train(stages[index], step, init)
        if is_main_process():
            _write_summary(stages)
    summary = on_main_process(lambda: _write_summary(stages))
    if is_main_process():
        print_log('Final validation of each stage:\n' + format_summary(summary), logger='current')
    return summary


def _check_load_from(stage: Stage, before: Stage) -> None:
    """Raise an error unless a stage can start from ``load_from`` instead of the unfinished stage before."""
    path = stage.cfg.get('load_from')
    missing = f'stage "{stage.name}" starts from stage "{before.name}", which is not finished in "{before.work_dir}"'
    if before.holds_results() or path is None:
        raise UsageError(f'{missing}: train it first')
    if '://' not in path and not osp.isfile(path):
        raise UsageError(f'{missing}, and load_from of the stage, "{path}", does not exist: '
                         f'train "{before.name}" first, or set load_from')


def _weights(stage: Stage, before: Stage) -> str:
    """Checkpoint that a stage starts from: of the stage before, or ``load_from`` if that was not trained here."""
    return before.final_checkpoint() if before.holds_results() else stage.cfg.load_from


def _train(stage: Stage, step: Step, init: str | None) -> None:
    """Train one stage to its end and mark it finished; ``init`` is the checkpoint that it starts from."""
    cfg = stage.cfg
    cfg.resume = step.action == 'resume'
    if cfg.resume or init is not None:
        cfg.load_from = step.checkpoint if cfg.resume else init
    runner = build_runner(cfg)
    if cfg.resume or init is not None:
        runner.register_hook(CheckWeightsHook(allow_missing=not cfg.resume))
    final = FinalMetricsHook()
    runner.register_hook(final)
    checkpoint_hook = _checkpoint_hook(stage, runner)
    runner.train()

    checkpoint = checkpoint_hook.save_if_missing(runner)
    if is_main_process():
        stage.mark_finished(checkpoint, runner.iter, final.metrics)
    barrier()
    del runner
    gc.collect()  # the runner and its hooks refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _checkpoint_hook(stage: Stage, runner: Runner) -> AtomicCheckpointHook:
    for hook in runner.hooks:
        if isinstance(hook, AtomicCheckpointHook):
            return hook
    raise UsageError(f'stage "{stage.name}" saves no checkpoint for the next one: its config needs '
                     "default_hooks.checkpoint = dict(type='mmvc.AtomicCheckpointHook', ...)")


def _check_loop(stage: Stage) -> None:
    """Raise an error if the training loop of a stage cannot resume exactly."""
    if stage.cfg.train_cfg.get('type') == 'IterBasedTrainLoop':
        raise UsageError(f'stage "{stage.name}": train_cfg.type is IterBasedTrainLoop, which trains on other '
                         "data after a resume. Use 'mmvc.ResumableTrainLoop', or 'mmengine.IterBasedTrainLoop' if "
                         'that is what you want')


def _write_summary(stages: Sequence[Stage]) -> dict[str, dict[str, float]]:
    """Write the numbers of the finished stages and return them."""
    finished = {stage.name: content for stage in stages if (content := stage.marker())}
    folder = osp.dirname(stages[0].work_dir)
    content = {name: dict(marker, checkpoint=osp.relpath(marker['checkpoint'], folder))
               for name, marker in finished.items()}
    atomic_write(Path(folder, SUMMARY), json.dumps(content, indent=2).encode())
    return {name: marker['metrics'] for name, marker in finished.items()}
