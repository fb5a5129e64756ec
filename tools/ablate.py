# Copyright (c) The mmvc contributors. All rights reserved.
"""Run an ablation: train variants of a config with several seeds, and compare their results."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
import sys

from mmvc.utils.arguments import NumberArgument
from mmvc.utils.choices import LAUNCHERS
from mmvc.utils.overrides import OverrideAction

EPILOG = """
A plan (configs/mvc/ablations/*.py) names a config, variants of it, seeds and metrics. Variants that are equal up to a
stage share its training: with three variants of the refiner, segmenter and tracker are trained once per seed. Finished
trainings are skipped, interrupted ones are resumed. If a training fails, only those that start from it are not run.

  WORK_DIR/trainings/<training>/      logs, checkpoints and numbers; shared by all plans in the same WORK_DIR
  WORK_DIR/<plan>/results.json        numbers of every run; mean, standard deviation, paired difference with interval
  WORK_DIR/<plan>/results.md, .png    the same as tables and as a plot

The tool does not notice changes of the code: remove the folders of the trainings concerned, or use another WORK_DIR.

examples:
  list the trainings and their state:
    python tools/ablate.py configs/mvc/ablations/tab4_synthetic.py --dry-run
  run two trainings at a time on two cores (about an hour):
    python tools/ablate.py configs/mvc/ablations/tab4_synthetic.py --jobs 2
  on eight GPUs, run eight trainings at a time, or one after the other on all GPUs:
    python tools/ablate.py configs/mvc/ablations/tab4_vspw.py --jobs 8 --gpus 1 --data-root data/VSPW_480p
    python tools/ablate.py configs/mvc/ablations/tab4_vspw.py --gpus 8 --data-root data/VSPW_480p
  on a Slurm cluster, with eight GPUs per training:
    python tools/ablate.py configs/mvc/ablations/tab4_vspw.py --gpus 8 --slurm-script tab4.sh
    bash tab4.sh --partition gpu --time 72:00:00
  use more seeds for two of the variants and the baseline:
    python tools/ablate.py PLAN --variants mvc1 mvc1_mvc2 --seeds 0 1 2 3 4
  try the tool in a minute:
    python tools/ablate.py PLAN --seeds 0 1 --work-dir work_dirs/try --cfg-options train_cfg.max_iters=4
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)  # the command line is passed on without some options, found by their full names
    add = parser.add_argument
    add('plan', metavar='PLAN', help='config file of the ablation')
    add('--work-dir', default='work_dirs/ablations', help='folder of all results (default: %(default)s)')
    add('--variants', nargs='+', metavar='NAME', help='use only these variants and the baseline')
    add('--seeds', nargs='+', type=int, metavar='N', help='seeds, instead of those of the plan')
    add('--data-root', help='folder of the dataset, instead of that of the plan')
    add('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
        help='override entries of the configs of all stages and variants')
    add('--jobs', type=NumberArgument(1, whole=True), default=1, help='trainings at a time (default: %(default)s)')
    add('--threads', type=NumberArgument(1, whole=True),
        help='threads of each process (default: cores / jobs / processes of a job)')
    add('--gpus', type=NumberArgument(0, whole=True),
        help='GPUs per training (default: 1, or 0 without a GPU)')
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--dry-run', action='store_true', help='list the trainings and their state, run nothing')
    mode.add_argument('--report-only', action='store_true', help='write the results of what is finished, run nothing')
    mode.add_argument('--slurm-script', metavar='FILE', help='write a script that submits the trainings, run nothing')
    mode.add_argument('--only', type=int, metavar='N', help='run training N of the list in this process')
    add('--launcher', choices=LAUNCHERS, default='none', help='with --only: how the processes were started')
    add('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)  # set by launchers
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # these take seconds to import, and --help does not need them
    from mmvc.ablation import AblationRunner
    from mmvc.engine import report_errors
    with report_errors():
        runner = AblationRunner(args.plan, args.work_dir, args.variants, args.seeds, args.data_root, args.cfg_options)
        if args.dry_run:
            print(runner.listing())
        elif args.only is not None:
            runner.run_only(args.only, args.launcher)
        elif args.report_only:
            runner.report()
        elif args.slurm_script:
            runner.write_slurm_script(args.slurm_script, sys.argv, args.gpus)
        else:
            sys.exit(runner.run_all(sys.argv, args.jobs, args.threads, args.gpus))


if __name__ == '__main__':
    main()
