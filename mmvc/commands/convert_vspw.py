# Copyright (c) The mmvc contributors. All rights reserved.
"""Make the 480p version of VSPW from the full-resolution release."""

import argparse
from collections.abc import Sequence

from .resizing import add_resizing_arguments

EPILOG = """
SRC: data/<video>/{origin/*.jpg,mask/*.png}, train.txt, val.txt, test.txt (masks of the test videos are not public)
DST: the same tree. Frames have HEIGHT rows and int(HEIGHT * width / height) columns (bilinear). Masks are resized by
     nearest neighbour, which keeps their values.

A video whose files are broken is named in the end, the others are converted.
Complete files in DST are kept. After an interruption, or if files of DST are missing, empty or cut off, run the same
command again. Another height or quality needs --overwrite. Files in SRC never change.

Check the result with mmvc check vspw DST.

examples:
  # count the files, write nothing
  %(prog)s ~/downloads/VSPW data/VSPW_480p --dry-run
  # with 8 processes
  %(prog)s ~/downloads/VSPW data/VSPW_480p --workers 8
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_resizing_arguments(parser, 'root of the full-resolution release', height=480)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    # these take seconds to import, and --help does not need them
    from mmvc.datasets.converters import convert_vspw
    from mmvc.engine import report_errors
    with report_errors():
        summary = convert_vspw(args.src, args.dst, args.height, args.quality, args.workers, args.dry_run,
                               overwrite=args.overwrite, keep_going=True)
    print(f'{"would convert" if args.dry_run else "converted"} {summary.videos} videos: {summary.frames} frames, '
          f'{summary.masks} masks; {summary.already_there} of these files were there already')
