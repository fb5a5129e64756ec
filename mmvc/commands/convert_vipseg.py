# Copyright (c) The mmvc contributors. All rights reserved.
"""Convert the download of VIPSeg to 720p frames, panoptic colour masks and panoptic_gt_VIPSeg_{train,val}.json."""

import argparse
from collections.abc import Sequence

from .resizing import add_resizing_arguments

EPILOG = """
SRC: imgs/<video>/*.jpg, panomasks/<video>/*.png (16 bits: 0 void, class + 1 for stuff, (class + 1) * 100 + instance
     for things), train.txt, val.txt, test.txt. Masks of the test videos are not public: only their frames are written.
DST: images/<video>/*.jpg       frames, resized bilinearly to HEIGHT rows and int(HEIGHT * width / height) columns
     panomasks/<video>/*.png    raw masks at that size (nearest neighbour)
     panomasksRGB/<video>/*.png segment ids R + 256 G + 65536 B, the same for a segment in all frames of its video
     panoptic_gt_VIPSeg.json    all labelled videos; the files with _train, _val and _test have those of a list

Files and annotations equal those of the official scripts, except the colours of things: they are random there, and
always the same here. The tool reads each colour mask back and compares it.

A video whose files are broken is named in the end, the others are converted. Annotations are written when all are.
DST/.records lists the finished videos, which are kept. After an interruption, or if files of DST are missing, empty or
cut off, run the same command again. Another height or quality needs --overwrite.

Check the result with mmvc check vipseg DST.

examples:
  %(prog)s ~/downloads/VIPSeg data/VIPSeg_720P --dry-run
  %(prog)s ~/downloads/VIPSeg data/VIPSeg_720P --workers 8
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_resizing_arguments(parser, 'root of the download', height=720)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    # these take seconds to import, and --help does not need them
    from mmvc.datasets.converters import convert_vipseg
    from mmvc.engine import report_errors
    with report_errors():
        counts = convert_vipseg(args.src, args.dst, args.height, args.quality, args.workers, args.dry_run,
                                overwrite=args.overwrite, keep_going=True)
    print(f'{"would convert" if args.dry_run else "converted"} {counts["videos"]} videos ({counts["frames"]} frames); '
          f'{counts["unlabelled_videos"]} have no masks, {counts["already_there"]} were there already')
