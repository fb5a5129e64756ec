# Copyright (c) The mmvc contributors. All rights reserved.
"""Evaluate a checkpoint and, on request, write its predictions and videos to watch."""

import argparse
import json
import os
import os.path as osp
from collections.abc import Sequence

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import record

import mmvc  # noqa: F401  registers the scope
from mmvc.engine import (
    LAUNCHERS,
    OverrideAction,
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
from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write, remove_orphaned_drafts
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.config_names import config_argument
from mmvc.utils.dataset_configs import innermost_datasets
from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.tasks import TASKS
from mmvc.utils.type_names import type_class, type_name
from mmvc.visualization import FPS_RANGE
from mmvc.zoo import is_remote, resolve_checkpoint

# post-processor of a model -> the metric that scores its predictions
METRIC_OF = {task.postprocessor: task.metric for task in TASKS.values()}

EXAMPLES = """examples:
  compute the metrics of a checkpoint:
    %(prog)s CONFIG work_dirs/NAME/offline/iter_600.pth
  the metrics of an earlier stage:
    %(prog)s CONFIG work_dirs/NAME/segmenter/iter_600.pth --stage segmenter
  metrics, and videos with input, ground truth and prediction side by side:
    %(prog)s CONFIG CHECKPOINT --show-dir work_dirs/show
  predictions for a split without public ground truth, in the format of its server:
    %(prog)s CONFIG CHECKPOINT --format-only --out-dir work_dirs/vspw_test \\
        --cfg-options test_dataloader.dataset.ann_file=test.txt
  published weights by their name, which are downloaded once:
    %(prog)s configs/dvispp/dvispp_r50_vspw.py dvispp_r50_vspw_offline
  on two processes:
    bash tools/dist_test.sh CONFIG CHECKPOINT 2
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Evaluate a checkpoint on the test set of a config.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config file, or the name of a config of mmvc')
    parser.add_argument('checkpoint', help='checkpoint file, name of published weights, hf://USER/REPO/FILE or https '
                        'address')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of; default: the '
                        'last')
    parser.add_argument('--work-dir', help='folder for logs; default: work_dirs/<folder and name of the config>, and '
                        'the stage if --stage names it')
    parser.add_argument('--show-dir', help='write every video to this folder, as mp4 and as frames')
    parser.add_argument('--show-fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of these videos; default: 10')
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument('--out-dir', help='write the predictions to this folder, in the format of the benchmark, for '
                        'its server or mmvc evaluate')
    parser.add_argument('--format-only', action='store_true',
                        help='write the predictions without computing metrics; needs no ground truth. Default folder: '
                        'output_dir of the test_evaluator, or <work dir>/results')
    parser.add_argument('--tta', action='store_true',
                        help='test-time augmentation: vote over scales and flips (tta_model and tta_pipeline of the '
                        'config, or scales 0.9 to 1.2, each with its mirror image)')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load the checkpoint even if loading runs code that it contains')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config: key=value, a.b.c=value, key="[1,2]"')
    parser.add_argument('--device', help='such as cpu, cuda, cuda:1 or mps; default: an accelerator if there is one')
    parser.add_argument('--verbose', action='store_true', help='print everything that the log file gets: config, '
                        'hooks, environment, and a line for each parameter')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args(argv)
    if args.format_only and args.out:
        parser.error('--out is for metrics, and --format-only computes none: drop one of them')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


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


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    keep_freed_memory()
    run(args)
