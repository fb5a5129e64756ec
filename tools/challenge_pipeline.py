# Copyright (c) The mmvc contributors. All rights reserved.
"""Predict videos with several models, vote, choose a model per video, correct categories, and pack a submission."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
from typing import TYPE_CHECKING

from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.folder_lock import hold_folder
from mmvc.utils.overrides import OverrideAction

if TYPE_CHECKING:
    from mmengine.config import Config

EPILOG = """
A config has these entries (examples: configs/challenge/):

  dataset = dict(type='VSPWDataset', data_root='data/VSPW_480p', ann_file='test.txt')
  models = dict(
      mvc=dict(config='../mvc/NAME.py', checkpoint='mvc.pth', tta=True),
      baseline=dict(config='../dvispp/NAME.py', checkpoint='baseline.pth', tta=dict(scales=(1.0, 1.2))),
      other=dict(predictions='folder/of/pngs'))                              # predicted elsewhere
  aggregation = dict(models=('mvc', 'baseline', 'other'))                    # or None: off
  correction = dict(backend=dict(type='openai', model='gpt-4o'))             # or None: off

The pipeline writes predictions/, aggregation/, correction/ (with a record of all questions), report.json, report.md
and submission.zip to the work dir. If the dataset has ground truth, the report has the metrics after every step. After
an interruption, the same command goes on where it stopped.

examples:
  # show which videos are left, compute nothing
  python tools/challenge_pipeline.py configs/challenge/vspw_test.py --dry-run
  # run everything: each model on 8 GPUs, the other steps in 16 processes
  python tools/challenge_pipeline.py configs/challenge/vspw_test.py --processes 8 --workers 16
  # without category correction
  python tools/challenge_pipeline.py configs/challenge/vspw_test.py --cfg-options correction=None
  # predict again with one model; later steps follow
  python tools/challenge_pipeline.py configs/challenge/vspw_test.py --redo mvc

Show the questions of the correction and their cost, before they are asked:
  python tools/correct_categories.py --pred WORK_DIR/aggregation --images ... --audit AUDIT --dry-run --prices 2.5 10
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='challenge config')
    parser.add_argument('--work-dir', help='default: work_dirs/<folder and name of the config>')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--processes', type=NumberArgument(1, whole=True), default=1,
                        help='number of processes that test a model, one per GPU (default: %(default)s)')
    parser.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='number of processes of the other steps (default: %(default)s)')
    parser.add_argument('--redo', nargs='+', default=[], metavar='STEP',
                        help='discard the results of these steps: names of models, aggregation, correction')
    parser.add_argument('--dry-run', action='store_true', help='check the config and show what is left to do')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load checkpoints even if they contain code, which then runs')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config: key=value, a.b.c=value, key="[1,2]"')
    return parser.parse_args()


def load(path: str, cfg_options: dict | None, data_root: str | None) -> 'Config':
    """Load a challenge config with the overrides of the command line."""
    from mmvc.engine import load_config
    cfg = load_config(path, cfg_options)
    if data_root is not None and cfg.get('dataset'):
        cfg.dataset.data_root = data_root
    return cfg


def main() -> None:
    args = parse_args()
    # these take seconds to import, and --help does not need them
    from mmvc.challenge.pipeline import ChallengePipeline, load_plan
    from mmvc.engine import default_work_dir, report_errors
    keep_freed_memory()
    with report_errors():
        plan = load_plan(load(args.config, args.cfg_options, args.data_root))
        pipeline = ChallengePipeline(plan, args.work_dir or default_work_dir(args.config), args.processes,
                                     args.workers, args.trust_checkpoint)
        if args.dry_run:
            for step in pipeline.steps:
                print(f'{step}: {len(pipeline.unfinished(step))} of {len(pipeline.images)} videos left')
            return
        with hold_folder(pipeline.work_dir):
            pipeline.discard(args.redo)
            print(pipeline.run().to_text())


if __name__ == '__main__':
    main()
