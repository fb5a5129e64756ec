# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``mmvc test`` does."""

import argparse
import json
import os.path as osp

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import record

from mmvc.engine import (
    build_runner,
    data_files,
    default_work_dir,
    hold_on_main_process,
    load_config,
    local_checkpoint,
    on_device,
    report_errors,
    require_checkpoint,
    require_dataloader,
    setup_distributed,
)
from mmvc.engine.hooks import CheckWeightsHook, VideoSegVisualizationHook
from mmvc.evaluation import VideoMetric
from mmvc.registry import METRICS
from mmvc.utils.atomic import atomic_write, remove_orphaned_drafts
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.dataset_configs import innermost_datasets
from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.tasks import TASKS
from mmvc.utils.type_names import type_class, type_name
from mmvc.zoo import is_remote, resolve_checkpoint

# post-processor of a model -> the metric that scores its predictions
METRIC_OF = {task.postprocessor: task.metric for task in TASKS.values()}


def writes_predictions(evaluator: ConfigDict) -> bool:
    """Whether a metric can write predictions in the format of a benchmark."""
    metric = type_class(evaluator, METRICS)
    return isinstance(metric, type) and issubclass(metric, VideoMetric) and metric.WRITES_PREDICTIONS


def request_predictions(cfg: Config, out_dir: str | None, format_only: bool) -> None:
    """Let the metrics write the predictions to a folder; with ``format_only``, they compute nothing.

    Metrics that cannot write predictions stay unchanged; ``format_only`` removes them.
    """
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    writing = [evaluator for evaluator in evaluators if writes_predictions(evaluator)]
    if not writing:
        names = ', '.join(map(type_name, evaluators))
        raise UsageError(f'{names} does not write predictions in the format of a benchmark: add a metric that does '
                         'to test_evaluator, or drop --format-only and --out-dir')
    for evaluator in writing:
        evaluator.output_dir = out_dir or evaluator.get('output_dir') or osp.join(cfg.work_dir, 'results')
        if format_only:
            evaluator.format_only = True
    if format_only:
        cfg.test_evaluator = writing


def check_task(cfg: Config, tta: bool) -> None:
    """Raise an error if the metrics, or test-time augmentation, are for another task than the model.

    Models without a post-processor of this package are not checked.
    """
    postprocessor = type_name(cfg.model.get('postprocessor'))
    expected = METRIC_OF.get(postprocessor)
    if expected is None:
        return
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    for name in map(type_name, evaluators):
        if name in METRIC_OF.values() and name != expected:
            raise UsageError(f'{name} of test_evaluator cannot score this model, whose {postprocessor} makes '
                             f'predictions for {expected}: change one of them')
    if tta and expected != 'VSSMetric':
        raise UsageError(f'--tta votes on class maps, but this model has a {postprocessor}: drop --tta')


def output_folders(runner: Runner) -> list[str]:
    """Folders that metrics and hooks write predictions, pictures and margins to."""
    writers = [*runner.test_loop.evaluator.metrics, *runner.hooks]
    folders = (getattr(writer, name, None) for writer in writers for name in ('output_dir', 'show_dir'))
    return [str(folder) for folder in folders if folder is not None]


def enable_tta(cfg: Config) -> None:
    """Wrap the model and its pipeline for test-time augmentation."""
    from mmvc.models.tta import make_tta_pipeline  # slow to import, and rarely needed
    cfg.model = ConfigDict(**cfg.get('tta_model', dict(type='VideoSegTTAModel')), module=cfg.model)
    for dataset in innermost_datasets(cfg.test_dataloader.dataset):
        dataset['pipeline'] = cfg.get('tta_pipeline') or make_tta_pipeline(dataset['pipeline'])


@record  # torchrun prints the traceback of the process that failed first
def run(args: argparse.Namespace) -> None:
    """Run the test of the command line."""
    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors(args.verbose), on_device(args.device, args.launcher):
        cfg = load_config(args.config, args.cfg_options, args.data_root, args.stage)
        if not is_remote(args.checkpoint):
            require_checkpoint(resolve_checkpoint(args.checkpoint, ''))
        require_dataloader(cfg, 'test')
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or default_work_dir(args.config, args.stage)
        cfg.launcher, cfg.load_from, cfg.resume = args.launcher, args.checkpoint, False
        if args.format_only or args.out_dir:
            request_predictions(cfg, args.out_dir, args.format_only)
        check_task(cfg, args.tta)
        if args.tta:
            enable_tta(cfg)
        setup_distributed(args.launcher, cfg)
        cfg.load_from = local_checkpoint(args.checkpoint)
        if is_main_process():
            for folder in filter(None, (args.out_dir, args.show_dir)):
                remove_orphaned_drafts(folder)
        runner = build_runner(cfg)
        runner.register_hook(CheckWeightsHook())
        if args.show_dir:
            runner.register_hook(VideoSegVisualizationHook(args.show_dir, args.show_fps))
        folders = output_folders(runner)
        protect_inputs([*folders, args.out], data_files(runner.test_loop.dataloader.dataset))
        protect_inputs([args.out], [args.config, cfg.load_from], '--out')
        with hold_on_main_process(folders):
            metrics = runner.test()
        if args.out and is_main_process():
            numbers = {name: float(value) for name, value in metrics.items()}
            atomic_write(args.out, json.dumps(numbers, indent=2).encode())
