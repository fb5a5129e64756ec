# Copyright (c) The mmvc contributors. All rights reserved.
"""Arguments of the commands that resize a release."""

import argparse
from pathlib import Path


def add_resizing_arguments(parser: argparse.ArgumentParser, source: str, height: int) -> None:
    """Add the arguments of a command that writes a smaller copy of a release.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
        source (str): What SRC is, for the help.
        height (int): Default number of rows of the result.
    """
    parser.add_argument('src', metavar='SRC', type=Path, help=source)
    parser.add_argument('dst', metavar='DST', type=Path, help='root of the result')
    parser.add_argument('--height', type=int, default=height, help='rows of the result (default: %(default)s)')
    parser.add_argument('--quality', type=int, default=75, help='JPEG quality, 1 to 100 (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=1, help='processes (default: %(default)s)')
    parser.add_argument('--dry-run', action='store_true', help='count, write nothing')
    parser.add_argument('--overwrite', action='store_true', help='convert everything again, replacing files in DST')
