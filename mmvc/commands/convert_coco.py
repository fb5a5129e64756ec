# Copyright (c) The mmvc contributors. All rights reserved.
"""Reduce COCO's instance annotations to the classes of a video dataset, for training."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmvc.datasets.metainfo.coco_mapping import TARGETS

EPILOG = """
SRC: annotations/instances_train2017.json of COCO
DST: a JSON in COCO's format with the categories of the target. Crowds, objects of other classes, and images without an
     object are left out.

COCOPseudoVideoDataset reads SRC as well as DST. With DST, training starts faster and needs less memory. The training
makes the frames of a pseudo-video from its image, so the images are not converted. DST appears when it is complete. An
existing DST is kept, unless --overwrite is given.

examples:
  %(prog)s data/coco/annotations/instances_train2017.json \\
      data/coco/annotations/coco_to_ovis.json --target ovis
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', metavar='SRC', type=Path, help='instance annotations of COCO')
    parser.add_argument('dst', metavar='DST', type=Path, help='JSON to write')
    parser.add_argument('--target', required=True, choices=list(TARGETS), help='video dataset whose classes to use')
    parser.add_argument('--overwrite', action='store_true', help='replace DST')
    parser.add_argument('--dry-run', action='store_true', help='count, write nothing')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    if args.dst.exists() and not args.overwrite and not args.dry_run:
        print(f'{args.dst} exists already: kept (--overwrite replaces it)')
        return
    # these take seconds to import, and --help does not need them
    from mmvc.datasets.converters import convert_coco
    from mmvc.engine import report_errors
    with report_errors():
        counts = convert_coco(args.src, args.dst, args.target, args.dry_run)
    for name, number in counts['classes'].items():
        print(f'{name:24}{number:8}{"" if number else "  COCO has no such class, or no object of it"}')
    print(f'{"would keep" if args.dry_run else "kept"} {counts["objects"]} of {counts["all_objects"]} objects in '
          f'{counts["images"]} of {counts["all_images"]} images')
