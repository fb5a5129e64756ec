# Copyright (c) The mmvc contributors. All rights reserved.
"""Check a dataset before hours of training on it: is everything there, readable and consistent?"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmvc.datasets.checks import check_vipseg, check_vis, check_vspw
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.errors import DataError, UsageError

CHECKS: dict[str, Callable] = dict(
    vspw=check_vspw,
    vipseg=check_vipseg,
    youtube_vis_2019=partial(check_vis, benchmark='youtube_vis_2019'),
    youtube_vis_2021=partial(check_vis, benchmark='youtube_vis_2021'),
    ovis=partial(check_vis, benchmark='ovis'))

EPILOG = """
Looked at: videos, frames and masks that are missing or cannot be decoded; frames without masks and masks without
frames; sizes that differ between frame and mask or annotation; ids that no class or annotation explains; annotations
that contradict their masks; and the number of videos (and frames) against the benchmark's.

Printed: a table of counts, the frame sizes, and each kind of problem with what to do about it and where it occurs. The
exit status is 0 if there are no problems, 1 if there are, 2 if the check could not be made.

examples:
  python tools/dataset_converters/check_dataset.py vspw data/VSPW_480p --workers 8
  # only the validation set, headers of files only: seconds instead of minutes
  python tools/dataset_converters/check_dataset.py vipseg data/VIPSeg_720P --splits val --quick
  # a dataset of your own, in the layout of VSPW
  python tools/dataset_converters/check_dataset.py vspw data/synthetic/vspw --own --num-classes 10 --splits train val
  # everything in a file
  python tools/dataset_converters/check_dataset.py ovis data/ovis --json report.json
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', choices=list(CHECKS), help='benchmark, or the one whose format is used')
    parser.add_argument('root', metavar='ROOT', type=Path, help='root of the dataset')
    parser.add_argument('--splits', nargs='+', metavar='SPLIT',
                        help='train, val, test; for YouTube-VIS and OVIS train, valid, test (default: all with public '
                        'data)')
    parser.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='processes (default: %(default)s)')
    parser.add_argument('--quick', action='store_true', help='read headers only: no pixels, no ids')
    parser.add_argument('--own', action='store_true',
                        help='a dataset of your own: do not compare totals and classes with the benchmark')
    parser.add_argument('--num-classes', type=NumberArgument(1, 251, whole=True),
                        help='number of classes (vspw with --own only)')
    parser.add_argument('--limit', type=NumberArgument(0, whole=True), default=10,
                        help='problems named of each kind (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the whole report to a file')
    args = parser.parse_args()
    if not args.root.is_dir():
        parser.error(f'"{args.root}" is not a folder')
    known = ('train', 'val' if args.dataset in ('vspw', 'vipseg') else 'valid', 'test')
    if not set(args.splits or ()) <= set(known):
        parser.error(f'the splits of {args.dataset} are {", ".join(known)}, got {" ".join(args.splits)}')
    if args.num_classes is not None and not (args.dataset == 'vspw' and args.own):
        parser.error('--num-classes goes with "vspw" and --own')
    return args


def main() -> None:
    args = parse_args()
    options = dict(splits=args.splits, num_classes=args.num_classes)
    try:
        report = CHECKS[args.dataset](
            args.root, workers=args.workers, quick=args.quick, own=args.own,
            **{name: value for name, value in options.items() if value is not None})
        print(report.to_text(args.limit))
        if args.json is not None:
            args.json.write_text(json.dumps(report.to_dict(), indent=1) + '\n', encoding='utf-8')
    except (DataError, OSError, UsageError) as error:  # 1 is what problems of the data end with
        print(f'error: {error}', file=sys.stderr)
        raise SystemExit(2) from error
    raise SystemExit(1 if report.problems else 0)


if __name__ == '__main__':
    main()
