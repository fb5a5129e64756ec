# Copyright (c) The mmvc contributors. All rights reserved.
"""Train a model, or all stages of one."""

import argparse
import os
from collections.abc import Sequence

from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.choices import LAUNCHERS, VIS_BACKENDS
from mmvc.utils.config_names import config_argument
from mmvc.utils.overrides import OverrideAction

EXAMPLES = """examples:
  train all stages of a config, one after the other:
    %(prog)s configs/mvc/dvispp_r18_synthetic.py
  continue a stopped training:
    %(prog)s configs/mvc/dvispp_r18_synthetic.py --resume
  train only the tracker, starting from the segmenter in the work dir:
    %(prog)s configs/mvc/dvispp_r18_synthetic.py --stage online
  start the segmenter from published weights, which are downloaded once (mmvc models lists them):
    %(prog)s configs/mvc/dvispp_r50_vspw.py \\
        --cfg-options stages.segmenter.load_from=mask2former_r50_coco_panoptic
  use data in another folder, and another learning rate:
    %(prog)s configs/mvc/dvispp_r18_camvid.py --data-root data/camvid \\
        --cfg-options optim_wrapper.optimizer.lr=5e-4
  use two processes:
    bash tools/dist_train.sh configs/mvc/dvispp_r18_synthetic.py 2
  use one GPU instead of eight, with the batch size and the schedule of eight:
    %(prog)s configs/mvc/dvispp_r50_vspw.py --accumulate 8
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Train a model. If the config has "stages", they are trained in turn, each in its own folder of '
        'the work dir and from the weights of the stage before. summary.json has the metrics of all stages.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config file, or the name of a config of mmvc')
    parser.add_argument('--work-dir',
                        help='folder for logs and checkpoints; default: work_dirs/<folder and name of the config>')
    parser.add_argument('--resume', action='store_true',
                        help='continue from the last intact checkpoint, and skip finished stages')
    parser.add_argument('--overwrite', action='store_true',
                        help='discard the checkpoints of the trainings to do, and start them again')
    parser.add_argument('--stage', '--stages', nargs='+', metavar='NAME',
                        help='train only these stages; the first one starts from the stage before in the work dir, or '
                        'from load_from if that was not trained there; default: all')
    parser.add_argument('--allow-random-weights', action='store_true',
                        help='train a stage without the weights of the one before; without this option, a training '
                        'whose frozen parts would stay random is refused')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load checkpoints even if loading runs code that they contain')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (GPU)')
    parser.add_argument('--accumulate', type=NumberArgument(1, whole=True), default=1, metavar='N',
                        help='sum the gradients of N iterations, and train N times as many iterations: batch size, '
                        'schedule and learning rate are those of N times as many GPUs')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the real batch size over auto_scale_lr.base_batch_size')
    parser.add_argument('--deterministic', action='store_true',
                        help='end with the same weights, bit for bit, in every run on a machine; slower on GPUs')
    parser.add_argument('--watch', nargs='+', choices=list(VIS_BACKENDS), default=[],
                        help='also send losses and metrics to these services')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config, for all stages: key=value, a.b.c=value, key="[1,2]"; '
                        'for one stage: stages.NAME.key=value')
    parser.add_argument('--device', help='such as cpu, cuda, cuda:1 or mps; default: an accelerator if there is one')
    parser.add_argument('--verbose', action='store_true', help='print everything that the log file gets: config, '
                        'hooks, environment, and a line for each parameter')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from .training import run  # takes seconds to import, and --help does not need it
    keep_freed_memory()
    run(args)
