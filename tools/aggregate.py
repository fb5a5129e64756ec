# Copyright (c) The mmvc contributors. All rights reserved.
"""Choose, video by video, the model whose label maps move with the images, and collect its predictions."""

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
from mmvc.engine import report_errors
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write, require_writable

EPILOG = """
Predictions are PRED/<video>/<frame>.png, class indices (tools/test.py --out-dir writes them), the same frames from
every model, at one size. Per pair of frames: Farneback's flow, the earlier label map warped by it, SSIM with the
actual one where the motion is known. The mean over the video decides; where scores are equal, the model named first is
taken. All models are scored with the same flow, which is computed once.

examples:
  # a model with and one without masked video consistency, on VSPW
  python tools/aggregate.py --images 'data/VSPW_480p/data/{video}/origin' \\
      --pred mvc=work_dirs/mvc/val baseline=work_dirs/dvispp/val --out work_dirs/aggregated/val --workers 8
  # the scores as a file too
  python tools/aggregate.py ... --table work_dirs/aggregated/scores.csv
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', required=True, metavar='FOLDER',
                        help="folder of a video's frames, with {video} in the place of its name")
    parser.add_argument('--pred', required=True, nargs='+', metavar='NAME=FOLDER',
                        help='two or more folders of predictions, each with a name for the table')
    parser.add_argument('--out', required=True, type=Path, help='folder for the chosen predictions')
    parser.add_argument('--table', type=Path, metavar='FILE', help='write scores and choices, as .csv or .json')
    parser.add_argument('--label-maps', choices=TREATMENTS, default=TREATMENTS[0],
                        help='compare the regions of each class, or the class indices as grey levels '
                        '(default: %(default)s)')
    parser.add_argument('--window', type=int, default=WINDOW, help='side of the SSIM window (default: %(default)s)')
    parser.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='processes (default: %(default)s)')
    parser.add_argument('--records', type=Path, metavar='FOLDER',
                        help='note here what is finished: started again with the same folder, such videos are skipped')
    args = parser.parse_args()
    args.pred = parse_predictions(parser, args.pred)
    if args.table and args.table.suffix not in ('.csv', '.json'):
        parser.error(f'--table must end in .csv or .json, found "{args.table}"')
    return args


def parse_predictions(parser: argparse.ArgumentParser, entries: list[str]) -> dict[str, Path]:
    """Names and folders of the models."""
    predictions = {}
    for entry in entries:
        name, separator, folder = entry.partition('=')
        if not (name and separator and folder):
            parser.error(f'--pred takes NAME=FOLDER, found "{entry}"')
        if name in predictions:
            parser.error(f'--pred names two folders "{name}"')
        predictions[name] = Path(folder)
    return predictions


def as_rows(choices: list[VideoChoice]) -> list[dict]:
    """Rows of the table: video, frames, a score per model (None where not defined), chosen."""
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
    atomic_write(path, text.encode())


def check_writable(path: Path) -> None:
    """Raise an OSError where a file cannot be written."""
    if path.is_dir():
        raise IsADirectoryError(f'--table "{path}" is a folder')
    require_writable(path.parent)


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(1)  # the videos are what runs in parallel
    with report_errors():
        if args.table:  # before hours of work
            check_writable(args.table)
        choices = aggregate_folders(args.images, args.pred, args.out, args.label_maps, args.window, args.workers,
                                    args.records)
        rows = as_rows(choices)
        table = PrettyTable(list(rows[0]), align='l')
        for row in rows:
            table.add_row(['-' if value is None else f'{value:.5f}' if isinstance(value, float) else value
                           for value in row.values()])
        print(table)
        for name in args.pred:
            print(f'{name}: chosen for {sum(choice.chosen == name for choice in choices)} of {len(choices)} videos')
        if args.table:
            write_table(args.table, rows)
        print(f'written: {args.out}')


if __name__ == '__main__':
    main()
