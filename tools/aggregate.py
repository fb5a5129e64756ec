# Copyright (c) The mmvc contributors. All rights reserved.
"""For each video, choose the model whose label maps follow the motion in the images, and copy its predictions."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
import csv
import io
import json
import math
from pathlib import Path

import cv2
from prettytable import PrettyTable

from mmvc.challenge.aggregation import VideoChoice, aggregate_folders
from mmvc.challenge.aggregation.ssim import TREATMENTS, WINDOW
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write, require_writable
from mmvc.utils.batch import report_broken
from mmvc.utils.outputs import protect_inputs

EPILOG = """
Predictions are FOLDER/<video>/<frame>.png, class indices, as tools/test.py --out-dir writes them. All models must
predict the same frames at one size. For each pair of frames, Farneback's optical flow warps the earlier label map, and
SSIM compares it with the predicted one where the motion is known. The model with the highest mean over the video is
chosen. If scores are equal, the model that is named first is chosen. The flow is computed once for all models.

examples:
  # one model with and one without masked video consistency, on VSPW
  python tools/aggregate.py --images 'data/VSPW_480p/data/{video}/origin' \\
      --pred mvc=work_dirs/mvc/val baseline=work_dirs/dvispp/val --out work_dirs/aggregated/val --workers 8
  # also write the scores to a file
  python tools/aggregate.py ... --table work_dirs/aggregated/scores.csv
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', required=True, metavar='FOLDER',
                        help='folder with the frames of a video; {video} stands for its name')
    parser.add_argument('--pred', required=True, nargs='+', metavar='NAME=FOLDER',
                        help='two or more folders of predictions, each with a name of the model')
    parser.add_argument('--out', required=True, type=Path, help='folder for the chosen predictions')
    parser.add_argument('--table', type=Path, metavar='FILE', help='write scores and choices to a .csv or .json file')
    parser.add_argument('--label-maps', dest='treatment', choices=TREATMENTS, default=TREATMENTS[0],
                        help='how label maps are compared: the regions of each class, or the class indices as grey '
                        'levels (default: %(default)s)')
    parser.add_argument('--window', type=int, default=WINDOW,
                        help='side of the SSIM window in pixels (default: %(default)s)')
    parser.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='number of processes (default: %(default)s)')
    parser.add_argument('--records', type=Path, metavar='FOLDER',
                        help='keep a record of each finished video here; a later run with the same folder skips '
                        'these videos')
    args = parser.parse_args()
    args.pred = parse_predictions(parser, args.pred)
    if args.table and args.table.suffix not in ('.csv', '.json'):
        parser.error(f'--table must end in .csv or .json, found "{args.table}"')
    return args


def parse_predictions(parser: argparse.ArgumentParser, entries: list[str]) -> dict[str, Path]:
    """Split NAME=FOLDER into names and folders of the models."""
    predictions = {}
    for entry in entries:
        name, separator, folder = entry.partition('=')
        if not (name and separator and folder):
            parser.error(f'--pred takes NAME=FOLDER, found "{entry}"')
        if name in predictions:
            parser.error(f'--pred names two folders "{name}": give each model another name')
        predictions[name] = Path(folder)
    return predictions


def as_rows(choices: list[VideoChoice]) -> list[dict]:
    """Return the rows of the table: video, frames, a score per model (None where undefined), chosen."""
    return [dict(video=choice.video, frames=choice.frames,
                 **{f'score {name}': None if math.isnan(score) else score for name, score in choice.scores.items()},
                 chosen=choice.chosen) for choice in choices]


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the rows as CSV or JSON."""
    if path.suffix == '.json':
        text = json.dumps(rows, indent=1) + '\n'
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        text = buffer.getvalue()
    # names of files that the encoding of the locale lacks keep their bytes
    atomic_write(path, text.encode('utf-8', 'surrogateescape'))


def check_writable(path: Path) -> None:
    """Raise an OSError if a file cannot be written."""
    if path.is_dir():
        raise IsADirectoryError(f'--table "{path}" is a folder: give the name of a file')
    require_writable(path.parent)


def main() -> None:
    args = parse_args()
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    cv2.setNumThreads(1)  # the parallel work is per video
    with report_errors():
        if args.table:  # check before hours of work
            protect_inputs([args.table], args.pred.values(), '--table')
            check_writable(args.table)
        choices = aggregate_folders(args.images, args.pred, args.out, args.treatment, args.window, args.workers,
                                    args.records, keep_going=True)
        broken = {choice.video: choice.error for choice in choices if choice.error is not None}
        rows = as_rows([choice for choice in choices if choice.error is None])
        if rows and args.table:  # first: the standard output may be closed or full
            write_table(args.table, rows)
        if rows:
            table = PrettyTable(list(rows[0]), align='l')
            for row in rows:
                table.add_row(['-' if value is None else f'{value:.5f}' if isinstance(value, float) else value
                               for value in row.values()])
            print(table)
            for name in args.pred:
                print(f'{name}: chosen for {sum(choice.chosen == name for choice in choices)} of {len(rows)} videos')
            print(f'written: {args.out}')
        if broken:
            report_broken(broken, len(choices), 'aggregated')


if __name__ == '__main__':
    main()
