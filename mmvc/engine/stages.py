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
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name
from mmvc.zoo import is_remote, published_hint

from .checkpoints import last_good_checkpoint, require_resumable
from .config import build_runner
from .curves import write_curves
from .distributed import local_checkpoint, on_main_process
from .hooks import AtomicCheckpointHook, CheckWeightsHook, FinalMetricsHook, ResumeHook
from .schedule_length import schedule_mismatch
from .stage import Stage, capitalized, start_of
from .stopping import TrainingStopped, requested_signal, stop_on_signals
from .summary import format_summary
from .training_settings import training_settings

SUMMARY = 'summary.json'


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
        cfg.work_dir = osp.join(work_dir, name)
        cfg.experiment_name = name
        stages.append(Stage(name, cfg, cfg.work_dir))
        stages[-1].require_training()
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
                overwrite: bool = False,
                allow_random: bool = False) -> list[Step]:
    """Plan the remaining work from the content of the work dirs.

    Args:
        stages (Sequence[Stage]): All stages of the config.
        selected (Sequence[str], optional): Names of the stages to run. Defaults to None (all).
        resume (bool): Skip finished stages and resume the unfinished one. Defaults to False.
        overwrite (bool): Discard the results of the selected stages and start them again. Defaults to False.
        allow_random (bool): Whether a stage may start without the weights of the one before. Defaults to False.

    Returns:
        list[Step]: One per selected stage, in the order of training.

    Raises:
        UsageError: A selected name is unknown; results would be overwritten, or become outdated, without
            ``overwrite``; a selected stage has no weights to start from, because the stage before is not finished; or
            it cannot be trained on this machine, or not with its training loop.
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
        raise UsageError(f'"{used[0].work_dir}" holds results of {used[0].label}: go on with --resume, discard '
                         'them with --overwrite, or choose another --work-dir')

    steps = []
    for stage in chosen:
        index = names.index(stage.name)
        before = stages[index - 1] if index else None
        if resume and stage.finished():
            stage.check_made_of(start_of(stage, before))
            steps.append(Step(stage.name, 'skip'))
            continue
        _check_trainable(stage)
        if before is not None and before not in chosen and not before.finished():
            _check_load_from(stage, before, allow_random)
        stale = [later.name for later in stages[index + 1:]
                 if later.holds_results() and not (overwrite and later in chosen)]
        if stale:
            raise UsageError(f'stage "{stage.name}" is to be trained, but stage(s) {", ".join(stale)} in '
                             f'"{osp.dirname(stage.work_dir)}" were trained from it: discard them with --overwrite '
                             f'--stage {stage.name} {" ".join(stale)}, or choose another --work-dir')
        checkpoint = last_good_checkpoint(stage.work_dir) if resume else None
        if resume and checkpoint is None and not stage.name:
            checkpoint = _given_to_resume(stage)
            if checkpoint is None:
                print_log(f'No checkpoint to resume from in "{stage.work_dir}": training starts from the beginning',
                          logger='current')
        steps.append(Step(stage.name, 'resume' if checkpoint else 'start', checkpoint))
    if overwrite:
        for stage in reversed(chosen):  # if this is killed, no later stage is left without the one before it
            stage.discard_results()
    return steps


def run_stages(stages: Sequence[Stage],
               selected: Sequence[str] | None = None,
               resume: bool = False,
               overwrite: bool = False,
               allow_random: bool = False) -> dict[str, dict[str, float]]:
    """Train stages in turn, then print and write the summary (``summary.json`` beside the stages' work dirs).

    The training of a config without stages is a single one without a name, whose work dir has no summary.

    Args:
        stages (Sequence[Stage]): All stages of the config, see :func:`load_stages`.
        selected (Sequence[str], optional): Names of the stages to run. Defaults to None (all).
        resume (bool): Skip finished stages and resume the unfinished one. Defaults to False.
        overwrite (bool): Discard the results of the selected stages. Defaults to False.
        allow_random (bool): Whether a stage may start without the weights of the one before, and its frozen parts stay
            random. Defaults to False.

    Returns:
        dict[str, dict[str, float]]: Numbers of the final validation of every finished stage.

    Raises:
        UsageError: See :func:`plan_stages`.
    """
    steps = on_main_process(lambda: plan_stages(stages, selected, resume, overwrite, allow_random))
    names = [stage.name for stage in stages]
    for step in steps:
        index = names.index(step.name)
        if step.action == 'skip':
            print_log(f'{capitalized(stages[index].label)} is finished: skipped', logger='current')
            continue
        before = stages[index - 1] if index else None
        init = on_main_process(partial(_weights, stages[index], before)) if before else None
        start = on_main_process(partial(start_of, stages[index], before))
        _train(stages[index], step, init, start, allow_random)
        if is_main_process():
            _write_summary(stages)
    summary = on_main_process(lambda: _write_summary(stages))
    if is_main_process() and stages[0].name:
        print_log('Final validation of each stage:\n' + format_summary(summary), logger='current')
    return summary


def _given_to_resume(stage: Stage) -> str | None:
    """Checkpoint that the config itself asks to resume from, by ``resume`` and ``load_from``."""
    path = stage.cfg.get('load_from') if stage.cfg.get('resume') else None
    if path is not None and '://' not in path:
        require_resumable(path)
    return path


def _check_load_from(stage: Stage, before: Stage, allow_random: bool) -> None:
    """Raise an error unless a stage can start from ``load_from`` instead of the unfinished stage before."""
    path = stage.cfg.get('load_from')
    if path is None and allow_random and not before.holds_results():
        return
    missing = f'stage "{stage.name}" starts from stage "{before.name}", which is not finished in "{before.work_dir}"'
    if before.holds_results() or path is None:
        raise UsageError(f'{missing}: train it first, or set load_from to a checkpoint of it'
                         f'{"" if before.holds_results() else " (--allow-random-weights starts without)"}')
    if not is_remote(path) and not osp.isfile(path):
        raise UsageError(f'{missing}, and load_from of the stage, "{path}", does not exist: '
                         f'train "{before.name}" first, or set load_from'
                         f'{published_hint(path, f"--cfg-options stages.{stage.name}.load_from=")}')


def _weights(stage: Stage, before: Stage) -> str | None:
    """Checkpoint that a stage starts from: of the stage before, or ``load_from`` if that was not trained here."""
    return before.final_checkpoint() if before.holds_results() else stage.cfg.get('load_from')


def _train(stage: Stage, step: Step, init: str | None, start: str | None, allow_random: bool) -> None:
    """Train one stage to its end and mark it finished.

    Args:
        stage (Stage): The stage.
        step (Step): What is to be done.
        init (str, optional): Checkpoint of the stage before, or what takes its place.
        start (str, optional): See :func:`start_of`.
        allow_random (bool): Whether its frozen parts may be random.
    """
    cfg = stage.cfg
    settings = training_settings(cfg)
    resumed_start = None if step.checkpoint == cfg.get('load_from') else start  # None: it is what is resumed
    cfg.resume = step.action == 'resume'
    if cfg.resume or init is not None:
        cfg.load_from = step.checkpoint if cfg.resume else init
    if cfg.get('load_from') is not None:
        key = f'stages.{stage.name}.load_from' if stage.name else 'load_from'
        cfg.load_from = local_checkpoint(cfg.load_from, f'--cfg-options {key}=')
    runner = build_runner(cfg)
    length = ', '.join(f'{count} {key.removeprefix("max_")}' for key, count in stage.schedule.items())
    print_log(f'{capitalized(stage.label)}: {length}; log file and curves are in "{runner.log_dir}"',
              logger='current')
    if mismatch := schedule_mismatch(cfg):
        print_log(f'The learning rate is scheduled for another length than that of {stage.label}: {mismatch}',
                  logger='current', level=logging.WARNING)
    if cfg.get('load_from') is not None:
        fine_tunes = not cfg.resume and init is None
        runner.register_hook(CheckWeightsHook(allow_missing=not cfg.resume, allow_other=fine_tunes))
    else:
        _check_frozen(stage, runner, allow_random)
    runner.register_hook(ResumeHook(settings, resumed_start))
    final = FinalMetricsHook()
    runner.register_hook(final)
    checkpoint_hook = _checkpoint_hook(stage, runner)
    with stop_on_signals() if checkpoint_hook is not None else nullcontext():
        try:
            runner.train()
        except BaseException:
            with suppress(Exception):
                runner.visualizer.close()  # so that services get the last numbers, as after a complete training
            raise
        finally:
            if is_main_process():
                write_curves(stage.work_dir)
        stop = on_main_process(requested_signal)

    if checkpoint_hook is not None:
        checkpoint = checkpoint_hook.save_if_missing(runner)
        if is_main_process():
            stage.mark_finished(checkpoint, runner.iter, final.metrics, settings=settings, start=start)
    barrier()
    if stop:
        raise TrainingStopped(stop, f'stopped by {signal.Signals(stop).name}; {stage.label} is finished')
    del runner
    gc.collect()  # the runner and its hooks refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _check_frozen(stage: Stage, runner: Runner, allow_random: bool) -> None:
    """Raise an error, or warn, if parts of the model are neither trained nor loaded from anywhere."""
    model = runner.model
    while is_model_wrapper(model) and not hasattr(model, 'frozen_parts'):
        model = model.module
    loaded = [type_name(getattr(part, 'init_cfg', None)) == 'Pretrained' for part in
              (model, *(getattr(model, name, None) for name in getattr(model, 'frozen_parts', ())))]
    if len(loaded) > 1 and not loaded[0] and not all(loaded[1:]):
        parts = ', '.join(model.frozen_parts)
        if not allow_random:
            raise UsageError(f'{stage.label} leaves {parts} of the model as they are, and nothing loads their '
                             'weights: set load_from to a checkpoint of the stage before (or '
                             '--allow-random-weights, if they are to be random)')
        print_log(f'The weights of {parts} are RANDOM, and {stage.label} does not train them', logger='current',
                  level=logging.WARNING)


def _checkpoint_hook(stage: Stage, runner: Runner) -> AtomicCheckpointHook | None:
    for hook in runner.hooks:
        if isinstance(hook, AtomicCheckpointHook):
            return hook
    if not stage.name:  # without the hook there is no marker, so it is never taken for finished
        return None
    raise UsageError(f'stage "{stage.name}" saves no checkpoint for the next one: its config needs '
                     "default_hooks.checkpoint = dict(type='mmvc.AtomicCheckpointHook', ...)")


def _check_trainable(stage: Stage) -> None:
    """Raise an error if a stage cannot train on this machine, or its training loop cannot resume exactly."""
    if stage.name and stage.cfg.train_cfg.get('type') == 'IterBasedTrainLoop':
        raise UsageError(f'stage "{stage.name}": train_cfg.type is IterBasedTrainLoop, which trains on other '
                         "data after a resume. Use 'mmvc.ResumableTrainLoop', or 'mmengine.IterBasedTrainLoop' if "
                         'that is what you want')
    if type_name(stage.cfg.get('optim_wrapper')) == 'AmpOptimWrapper' and get_device() in ('cpu', 'mps'):
        raise UsageError(f'{stage.label} uses mixed precision (AmpOptimWrapper), which needs a GPU, and it is to '
                         f'run on the device "{get_device()}": leave out --amp, or add --cfg-options '
                         'optim_wrapper.type=OptimWrapper')


def _write_summary(stages: Sequence[Stage]) -> dict[str, dict[str, float]]:
    """Write the numbers of the finished stages and return them."""
    finished = {stage.name: content for stage in stages if (content := stage.marker())}
    for content in finished.values():
        for key in ('settings', 'start'):
            content.pop(key, None)
    if not stages[0].name:
        return {name: marker['metrics'] for name, marker in finished.items()}
    folder = osp.dirname(stages[0].work_dir)
    content = {name: dict(marker, checkpoint=osp.relpath(marker['checkpoint'], folder))
               for name, marker in finished.items()}
    atomic_write(Path(folder, SUMMARY), json.dumps(content, indent=2).encode())
    return {name: marker['metrics'] for name, marker in finished.items()}
