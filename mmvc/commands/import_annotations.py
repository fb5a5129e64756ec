# Copyright (c) The mmvc contributors. All rights reserved.
"""Turn the export of an annotation tool into a dataset to train on."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmvc.importers.frames import FORMATS, LINKS
from mmvc.importers.layouts import LAYOUTS
from mmvc.importers.reader import FileReader, ReaderOption
from mmvc.importers.registry import READERS, find_reader
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.errors import UsageError

EPILOG = """
layouts:
  semantic   frames/<video>/, labels/<video>/ (a class per pixel, 255 = unlabelled), train.txt, val.txt
  instances  train/JPEGImages/<video>/, train.json, and the same for valid: tracks, as in YouTube-VIS
  panoptic   images/<video>/, panomasksRGB/<video>/, panoptic_gt_VIPSeg_{train,val}.json: as in VIPSeg
OUT/config.py trains a small model on the dataset. Frames without labels stay as context. Unpack archives first.

A video whose files are broken is named in the end, the others are imported. Lists and config are written when all are.
After an interruption, run the same command again: finished videos are kept. Other options or annotations need
--overwrite. Files in PATH and IMAGES never change.

examples:
  # masks for semantic segmentation, from an export of CVAT with its frames
  %(prog)s exports/street data/street
  # tracks, from an XML file of CVAT and the video that was labelled
  %(prog)s exports/street.xml data/street --images street.mp4 --layout instances
  # two classes and the background, in this order; "truck" and "bus" are one of them
  %(prog)s exports/street data/street --classes person truck=vehicle bus=vehicle --background background
  # things and stuff
  %(prog)s exports/street data/street --layout panoptic --stuff road sky --val street_03 street_07
"""


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Returns:
        argparse.ArgumentParser: The parser.
    """
    formats = '\n'.join(f'  {name:16} {reader.HELP}' for name, reader in READERS.items())
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=f'formats:\n{formats}\n{EPILOG}',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('path', metavar='PATH', type=Path, help='file or folder that the annotation tool exported')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder of the dataset to write')
    parser.add_argument('--images', type=Path, help='folder of the frames, or of a folder of frames for each video, '
                        'or the video file (default: what lies beside the annotations)')
    parser.add_argument('--format', choices=list(READERS), help='format of PATH (default: recognised)')
    parser.add_argument('--layout', choices=list(LAYOUTS), default='semantic',
                        help='layout of the dataset (default: %(default)s)')
    classes = parser.add_argument_group('classes')
    classes.add_argument('--classes', nargs='+', metavar='CATEGORY[=CLASS]', help='categories to keep, in the order '
                         'of the classes; =CLASS renames them, and merges those of one name. Pixels of the others are '
                         'unlabelled (default: all)')
    classes.add_argument('--void', nargs='+', default=[], metavar='CATEGORY',
                         help='categories whose pixels are unlabelled')
    classes.add_argument('--background', metavar='CLASS', help='class of the pixels that no region covers (default: '
                         '"background" where the format labels them, otherwise they are unlabelled)')
    classes.add_argument('--stuff', nargs='+', default=[], metavar='CLASS', help='classes whose objects are not told '
                         'apart (default: as the format says)')
    split = parser.add_argument_group('videos and frames')
    split.add_argument('--val', nargs='+', default=[], metavar='VIDEO', help='validation videos (default: a share)')
    split.add_argument('--val-share', type=NumberArgument(0, 1), default=0.2, metavar='SHARE',
                       help='share of the videos to validate on (default: %(default)s)')
    split.add_argument('--all-labelled', action='store_true', help='a frame without regions shows no object (default: '
                       'it is unlabelled)')
    split.add_argument('--frames', choices=LINKS, default='copy',
                       help='how images get into OUT (default: %(default)s)')
    split.add_argument('--image-format', choices=list(FORMATS), help='format of the frames (default: that of the '
                       'images, and jpg for video files)')
    own = parser.add_argument_group('options of some formats')
    for name, options in _options_by_name().items():
        text = '; '.join(f'{reader.NAME}: {option.help}' for reader, option in options)
        option = options[0][1]
        kind: dict[str, Any] = dict(action='store_true', default=None) if option.type is None else \
            dict(type=option.type, metavar=name.upper())
        own.add_argument(option.flag, dest=name, help=text, **kind)
    parser.add_argument('--overwrite', action='store_true', help='import everything again')
    return parser


def _options_by_name() -> dict[str, list[tuple[type[FileReader], ReaderOption]]]:
    """The options that only some formats have, with these formats."""
    found: dict[str, list[tuple[type[FileReader], ReaderOption]]] = {}
    for reader in READERS.values():
        for option in reader.OPTIONS:
            found.setdefault(option.name, []).append((reader, option))
    return found


def _reader_options(args: argparse.Namespace, reader: type[FileReader]) -> dict[str, Any]:
    """The given options of a format."""
    given = {name: getattr(args, name) for name in _options_by_name() if getattr(args, name) is not None}
    known = {option.name for option in reader.OPTIONS}
    for name in given:
        if name not in known:
            formats = ', '.join(other.NAME for other, _ in _options_by_name()[name])
            raise UsageError(f'--{name.replace("_", "-")} is an option of the format {formats}, "{args.path}" is '
                             f'{reader.NAME}: leave it out')
    return given


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Raises:
        SystemExit: With a message after an error of the user or the data.
    """
    args = build_parser(prog).parse_args(argv)
    # these take seconds to import, and --help does not need them
    from mmvc.engine import report_errors
    from mmvc.importers.writer import import_videos
    with report_errors():
        reader = find_reader(args.path, args.format)
        options = _reader_options(args, reader)
        source = reader.from_path(args.path, args.images, **options)
        files = [args.path, args.images, *(value for value in options.values() if isinstance(value, Path))]
        switches = {name: value for name, value in options.items() if not isinstance(value, Path)}
        summary = import_videos(
            source, args.out, args.layout, classes=args.classes, void=args.void, background=args.background,
            stuff=args.stuff, val=args.val, val_share=args.val_share, all_labelled=args.all_labelled, link=args.frames,
            image_format=args.image_format, inputs=[file for file in files if file is not None],
            options=dict(switches, format=reader.NAME), overwrite=args.overwrite)
        print(f'{reader.NAME}: {len(summary.records)} videos in the layout {args.layout}')
        print(summary.to_text())
        print(f'\ncheck the dataset:\n  mmvc check {summary.config}\ntrain a small model on it:\n'
              f'  mmvc train {summary.config}\nlarger models: docs/en/own_dataset.md')
