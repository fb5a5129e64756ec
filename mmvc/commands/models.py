# Copyright (c) The mmvc contributors. All rights reserved.
"""List the models whose weights are published."""

import argparse
from collections.abc import Sequence

DESCRIPTION = """List the models whose weights are published: name, task, data, published score, size of the file,
licence and source. A name takes the place of a checkpoint. The first weights are files in the folder weights/ of the
repository: they need no network, but a clone. All others are downloaded and converted once."""

EXAMPLES = """examples:
  all of them:
    %(prog)s
  those for VSPW with a ViT-L:
    %(prog)s vspw vitl
  segment a video with one of them, without a network and with one:
    mmvc segment street.mp4 --model dvispp_r18_camvid_segmenter --out-dir out
    mmvc segment street.mp4 --model dvispp_r50_vspw_online --out-dir out
"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', metavar='WORD', help='only rows that contain each word')
    words = parser.parse_args(argv).words
    from mmvc.zoo import model_table  # takes seconds to import, and --help does not need it
    print(model_table(' '.join(words)))
