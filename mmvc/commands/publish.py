# Copyright (c) The mmvc contributors. All rights reserved.
"""Turn a training checkpoint into a file for a model zoo."""

import argparse
import re
from collections.abc import Sequence

from mmvc.utils.choices import CARD_NAME, SHARED_WEIGHTS
from mmvc.utils.config_names import config_argument

EPILOG = """The file is named <config>_<stage>_<date>-<first 8 digits of its SHA-256>.pth, or .safetensors; without
<stage> if the config has no stages. It holds the weights, the part of the config that an inferencer needs, and the
classes and their colours, all as plain data. So it runs alone:

  python -m mmvc.apis VIDEO --weights FILE

It holds no optimizer, no history and no class memory of the refiner's loss. If the training averages the weights
(EMA), the file holds the averaged weights, which the training evaluates. What is private stays at home: the work dir,
paths of data, initial weights, settings of storage servers, values that may be secrets. The tool lists what it left
out of the model.

examples:
  %(prog)s CONFIG work_dirs/NAME/offline/iter_40000.pth
  %(prog)s CONFIG CHECKPOINT model_zoo --stage online --safetensors
  half the size; loading restores float32:
  %(prog)s CONFIG CHECKPOINT model_zoo --half
  a folder with a model card, as a repository of the Hugging Face Hub has it, for from_pretrained() and --weights:
  %(prog)s CONFIG CHECKPOINT street --folder --license cc-by-nc-4.0 --results numbers.json --notes notes.md
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Write the weights of a checkpoint to a file for a model zoo, after checking that they fit the '
        'model of the config and are not NaN or infinite.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config that the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint: a file, an address, or the name of published weights')
    parser.add_argument('out_dir', nargs='?', default='.', help='folder to write to; default: the current one')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of; '
                        'default: the last')
    parser.add_argument('--date', help='YYYYMMDD; default: date of the checkpoint, or today')
    parser.add_argument('--safetensors', action='store_true', help='write a .safetensors file')
    parser.add_argument('--half', action='store_true', help='store the weights in half precision (float16), except '
                        'those of normalisation layers and biases; labels hardly change')
    card = parser.add_argument_group('a folder with a model card')
    card.add_argument('--folder', action='store_true', help=f'write {SHARED_WEIGHTS} and a model card, {CARD_NAME}, '
                      'to OUT_DIR, as save_pretrained() does; files of these names are replaced')
    card.add_argument('--license', metavar='ID', help='licence of the weights for the card, such as cc-by-nc-4.0; '
                      'default: the card says that none is stated')
    card.add_argument('--results', metavar='FILE.json', help='metrics for the card, as "mmvc test --out" writes them')
    card.add_argument('--notes', metavar='FILE.md', help='text for the card: data, limits, how it was trained')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load the checkpoint even if loading runs code that it contains')
    args = parser.parse_args(argv)
    if args.date and not re.fullmatch(r'20\d{6}', args.date):
        parser.error(f'--date must be YYYYMMDD, found {args.date}')
    for name in ('license', 'results', 'notes'):
        if getattr(args, name) and not args.folder:
            parser.error(f'--{name} is for the model card, which --folder writes')
    if args.folder and args.date:
        parser.error(f'--date is for the name of the file, which is {SHARED_WEIGHTS} with --folder')
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from .publishing import run  # takes seconds to import, and --help does not need it
    run(args)
