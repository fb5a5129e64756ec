# Copyright (c) The mmvc contributors. All rights reserved.
"""Run one training and the evaluations of its weights."""

import copy
import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Real

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from mmvc.engine import Stage, build_runner, hold_on_main_process, on_main_process, run_stages, setup_distributed
from mmvc.engine.hooks import CheckWeightsHook
from mmvc.utils.errors import UsageError

from .attention_share_hook import AttentionShareHook
from .plan import Evaluation, Training
from .store import Store


def run_training(training: Training, store: Store, launcher: str = 'none') -> None:
    """Train a stage and evaluate its weights. Finished work is skipped, an interrupted training is resumed.

    Args:
        training (Training): The training.
        store (Store): Folder of the results.
        launcher (str): How the processes were started, see :func:`setup_distributed`. Defaults to 'none'.

    Raises:
        UsageError: The stage before is not trained, or another process runs this training.
    """
    setup_distributed(launcher, training.cfg)
    on_main_process(lambda: _check_parent(training, store))
    with hold_on_main_process([store.folder(training)]), _measured(training, store):
        stages = [store.stage(training.parent)] if training.parent is not None else []
        stages.append(_stage_to_run(training, store, launcher))
        if not on_main_process(lambda: store.is_trained(training)):
            run_stages(stages, [training.stage], resume=True)
        checkpoint = on_main_process(stages[-1].final_checkpoint)
        for key, evaluation in training.evaluations.items():
            if on_main_process(partial(store.numbers, training, key)) is not None:
                continue
            numbers = run_evaluation(evaluation, checkpoint, str(store.folder(training) / 'tests' / key), launcher)
            if is_main_process():
                store.write(training, key, numbers)
            barrier()


def run_evaluation(evaluation: Evaluation, checkpoint: str, work_dir: str, launcher: str = 'none') -> dict[str, float]:
    """Evaluate weights.

    Args:
        evaluation (Evaluation): The evaluation.
        checkpoint (str): File of the weights.
        work_dir (str): Folder for logs.
        launcher (str): How the processes were started. Defaults to 'none'.

    Returns:
        dict[str, float]: Numbers by name.
    """
    cfg = Config(evaluation.cfg.to_dict(), filename=evaluation.cfg.filename)
    cfg.work_dir, cfg.experiment_name, cfg.launcher = work_dir, work_dir, launcher
    cfg.load_from, cfg.resume = checkpoint, False
    if cfg.get('visualizer'):
        cfg.visualizer = dict(type=cfg.visualizer.type)  # without services
    runner = build_runner(cfg)
    runner.register_hook(CheckWeightsHook())
    hook = AttentionShareHook() if evaluation.attention and 'refiner' in cfg.model else None
    if hook is not None:
        runner.register_hook(hook)
    numbers = dict(runner.test())
    if hook is not None:
        numbers.update(hook.numbers())
    del runner
    gc.collect()  # the runner and its hooks refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return {name: float(value) for name, value in numbers.items() if isinstance(value, Real)}


def _stage_to_run(training: Training, store: Store, launcher: str) -> Stage:
    """Return a training as a stage with a config of its own, ready for a runner."""
    stage = store.stage(training)
    stage.cfg = copy.deepcopy(stage.cfg)
    stage.cfg.work_dir, stage.cfg.experiment_name, stage.cfg.launcher = stage.work_dir, training.key, launcher
    return stage


def _check_parent(training: Training, store: Store) -> None:
    if training.parent is not None and not store.is_trained(training.parent):
        raise UsageError(f'training "{training.key}" starts from "{training.parent.key}", which is not finished in '
                         f'"{store.root}": run that first')


@contextmanager
def _measured(training: Training, store: Store) -> Iterator[None]:
    """Write ``training.json``: a description, and the cost of the main process and its workers over all attempts."""
    start, cpu = time.time(), _cpu_seconds()
    try:
        yield
    finally:
        if is_main_process():
            before = store.cost(training)
            spent = dict(wall_seconds=time.time() - start, cpu_seconds=_cpu_seconds() - cpu)
            store.write(training, 'training', dict(
                stage=training.stage,
                seed=training.seed,
                config=training.cfg.filename,
                starts_from=training.parent and training.parent.key,
                cost={name: round(before.get(name, 0) + value, 1) for name, value in spent.items()}))


def _cpu_seconds() -> float:
    """Return the CPU time of this process and its finished children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)
