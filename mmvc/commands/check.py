# Copyright (c) The mmvc contributors. All rights reserved.
"""Check that a dataset is complete, readable and consistent, before a training on it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvc.formats import vipseg, vspw, youtube_vis
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write
from mmvc.utils.config_names import config_argument
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.overrides import OverrideAction

if TYPE_CHECKING:
    from mmvc.datasets.checks import CheckReport

#: benchmark -> function of mmvc.datasets.checks, and arguments for it
CHECKS: dict[str, tuple[str, dict]] = dict(
    vspw=('check_vspw', {}),
    vipseg=('check_vipseg', {}),
    **{name: ('check_vis', dict(benchmark=name))
       for name in ('youtube_vis_2019', 'youtube_vis_2021', 'youtube_vis_2022', 'ovis')})

EPILOG = """
The tool finds: videos, frames and masks that are missing or cannot be decoded; frames without masks and masks without
frames; masks or annotations of another size than their frame; ids without a class or an annotation; annotations that
contradict their masks; and another number of videos (and frames) than the benchmark has. With a config, the tool loads
its datasets as for a training, in any layout, and compares their classes with those of the model.

It prints a table of counts, the frame sizes, the share of labelled frames if labels are sparse, and for each kind of
problem the remedy and the places. The exit status is 0 without problems, 1 with problems, and 2 if the check failed.

examples:
  %(prog)s vspw data/VSPW_480p --workers 8
  # all datasets of a config; use this for a dataset of your own
  %(prog)s configs/mvc/dvispp_r18_synthetic.py
  # only the validation set, headers of files only: seconds instead of minutes
  %(prog)s vipseg data/VIPSeg_720P --splits val --quick
  # a dataset of your own, in the layout of VSPW
  %(prog)s vspw data/synthetic/vspw --own --num-classes 10 --splits train val
  # the same, but only some frames have a mask
  %(prog)s vspw data/synthetic/vspw --own --num-classes 10 \\
      --splits train val --sparse-labels
  # write the whole report to a file
  %(prog)s ovis data/ovis --json report.json
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', metavar='DATASET', help='a config, whose datasets are checked; or a benchmark '
                        f'(for your own data: the benchmark that has their format): {", ".join(CHECKS)}')
    parser.add_argument('root', metavar='ROOT', type=Path, nargs='?', help='root of the dataset; with a '
                        'config: instead of its data_root')
    parser.add_argument('--splits', nargs='+', metavar='SPLIT',
                        help='train, val, test; for YouTube-VIS and OVIS train, valid, test (default: all with public '
                        'data; with a config: all)')
    parser.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='processes (default: %(default)s)')
    parser.add_argument('--quick', action='store_true', help='read headers only: no pixels, no ids')
    parser.add_argument('--own', action='store_true',
                        help='a dataset of your own: do not compare totals and classes with the benchmark')
    parser.add_argument('--num-classes', type=NumberArgument(1, 251, whole=True),
                        help='number of classes (vspw with --own only)')
    parser.add_argument('--sparse-labels', action='store_true',
                        help='only some frames of each video are labelled (vspw and vipseg; the JSON of YouTube-VIS '
                        'says so itself, and so does a config)')
    parser.add_argument('--limit', type=NumberArgument(0, whole=True), default=10,
                        help='number of problems to print of each kind (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the whole report to a file')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(argv)
    args.is_config = args.dataset not in CHECKS
    if args.is_config:
        if Path(args.dataset).is_dir():
            parser.error(f'"{args.dataset}" is a folder: give its format first ({", ".join(CHECKS)}), or a config '
                         'that uses it')
        try:
            args.dataset = config_argument(args.dataset)
        except argparse.ArgumentTypeError as error:
            parser.error(f'DATASET is a config or one of {", ".join(CHECKS)}: {error}')
    else:
        if args.root is None:
            parser.error(f'{args.dataset} needs ROOT, the folder of the dataset')
        if args.cfg_options:
            parser.error('--cfg-options needs a config as DATASET: drop it')
    if args.root is not None and not args.root.is_dir():
        parser.error(f'"{args.root}" is not a folder')
    known = ('train', 'val' if args.is_config or args.dataset in ('vspw', 'vipseg') else 'valid', 'test')
    if not set(args.splits or ()) <= set(known):
        parser.error(f'the splits of {args.dataset} are {", ".join(known)}, got {" ".join(args.splits)}')
    if args.own and args.is_config:
        parser.error('--own is for benchmarks: drop it, because the config defines the classes')
    if args.sparse_labels and args.dataset not in ('vspw', 'vipseg'):
        parser.error('--sparse-labels is for "vspw" and "vipseg": drop it. A config sets sparse_labels=True of the '
                     'dataset, the JSON of YouTube-VIS lists the labelled_frames of a video')
    if args.num_classes is not None and not (args.dataset == 'vspw' and args.own):
        parser.error('--num-classes is for "vspw" with --own only: drop it')
    return args


def check(args: argparse.Namespace) -> 'CheckReport':
    """Check the dataset or the config of the command line."""
    from mmvc.datasets import checks
    options = dict(workers=args.workers, quick=args.quick, **(dict(splits=args.splits) if args.splits else {}))
    if args.is_config:
        from mmengine.registry import init_default_scope

        from mmvc.engine import load_config
        cfg = load_config(args.dataset, args.cfg_options, args.root and str(args.root))
        init_default_scope(cfg.get('default_scope') or 'mmvc')
        return checks.check_config(cfg, **options)
    if args.num_classes is not None:
        options['num_classes'] = args.num_classes
    if args.sparse_labels:
        options['sparse_labels'] = True
    name, benchmark = CHECKS[args.dataset]
    return getattr(checks, name)(args.root, own=args.own, **benchmark, **options)


def input_files(args: argparse.Namespace) -> list[Path]:
    """Configs, lists and annotation files that are read and that the report could overwrite."""
    if args.is_config:
        return [Path(args.dataset)]
    names = [name for split in ('', 'train', 'val', 'valid', 'test')
             for name in (vspw.list_file(split), vipseg.ann_file(split),
                          *(template.format(split=split) for template in youtube_vis.ANN_FILES))]
    return [path for path in (args.root / name for name in names) if path.is_file()]


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    with report_errors():
        run(args)


def run(args: argparse.Namespace) -> None:
    """Check as the command line says; the exit status tells what was found."""
    try:
        protect_inputs([args.json], input_files(args), '--json')
        report = check(args)
        if args.json is not None:  # first: the standard output may be closed or full
            atomic_write(args.json, (json.dumps(report.to_dict(), indent=1) + '\n').encode())
    except (DataError, OSError, UsageError) as error:  # the exit status 1 means problems of the data
        print(f'error: {error}', file=sys.stderr)
        raise SystemExit(2) from error
    print(report.to_text(args.limit))
    raise SystemExit(1 if report.problems else 0)
