# Copyright (c) The mmvc contributors. All rights reserved.
"""Score a folder of predictions of any model. Needs no model and no config."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvc.datasets.metainfo.vspw import VSPW_CLASSES
from mmvc.formats import vipseg, vipseg_results, vspw, youtube_vis, youtube_vis_results
from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import require_writable
from mmvc.utils.choices import MIN_TRACK_SCORE
from mmvc.utils.files import FRAME_SUFFIXES, read_names
from mmvc.utils.outputs import protect_inputs

if TYPE_CHECKING:
    from mmvc.evaluation.files import ScoreReport

EPILOG = """
predictions, in the formats of the benchmarks (mmvc test --format-only writes them):
  vss  PRED/<video>/<frame>.png, class indices (VSPW: 0..123), 255 = no prediction
  vps  PRED/pan_pred/<video>/<frame>.png, R + 256 G + 65536 B = segment id, and PRED/pred.json
  vis  PRED/results.json, or PRED is this file

The tool prints the numbers in percent, and tables of the classes and of the worst videos. docs/en/metrics.md explains
the numbers.

examples:
  # VSPW, 8 processes
  %(prog)s vss --pred work_dirs/results/vspw --gt data/VSPW_480p --workers 8
  # a dataset of your own (here CamVid): name the list, the folder of the masks and the mask value of the first class
  %(prog)s vss --pred OUT --gt data/camvid --list ImageSets/val.txt --masks 'Annotations/{video}' \\
      --label-offset 0 --num-classes 11
  # every tenth frame is labelled; the images tell which frames are not
  %(prog)s vss --pred OUT --gt data/kitchen --list val.txt --masks 'labels/{video}' \\
      --images 'frames/{video}' --num-classes 2 --sparse-labels
  # VIPSeg; write the tables as CSV files and everything as JSON
  %(prog)s vps --pred OUT --gt data/VIPSeg_720P --out work_dirs/vipseg
  # a split of OVIS with public annotations
  %(prog)s vis --pred OUT/results.json --gt data/ovis --split train
  # J&F, IDF1 and HOTA as well, of the tracks that score at least 0.3
  %(prog)s vis --pred OUT/results.json --gt data/ovis --split train --tracking
  # YouTube-VIS 2022, also for short and long videos alone
  %(prog)s vis --pred OUT/results.json --gt data/youtube_vis_2022/gt.json \\
      --subsets S=data/youtube_vis_2022/gt_short.json L=data/youtube_vis_2022/gt_long.json
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--pred', required=True, type=Path, help='folder of the predictions')
    common.add_argument('--gt', required=True, type=Path, help='root of the dataset')
    common.add_argument('--workers', type=NumberArgument(1, whole=True), default=1,
                        help='processes (default: %(default)s)')
    common.add_argument('--worst', type=NumberArgument(0, whole=True), default=10,
                        help='number of worst videos to print (default: %(default)s)')
    common.add_argument('--out', metavar='NAME', help='write NAME.json, NAME_classes.csv and NAME_videos.csv')
    missing = argparse.ArgumentParser(add_help=False)
    missing.add_argument('--allow-missing', action='store_true',
                         help='count missing videos and frames as empty and list them, instead of stopping')
    missing.add_argument('--sparse-labels', action='store_true',
                         help='only some frames of each video are labelled: score these, and no others')
    tasks = parser.add_subparsers(dest='task', required=True, metavar='{vss,vps,vis}')

    vss = tasks.add_parser('vss', parents=[common, missing], help='mIoU and video consistency (VSPW)')
    vss.add_argument('--split', default='val', help='default: %(default)s')
    vss.add_argument('--list', metavar='FILE', help='list of the videos below --gt (default: <split>.txt)')
    vss.add_argument('--masks', default=vspw.MASKS, metavar='FOLDER',
                     help='masks of a video below --gt (default: %(default)s)')
    vss.add_argument('--images', default=vspw.FRAMES, metavar='FOLDER',
                     help='images of a video below --gt; if there are, each must have a mask, unless labels are '
                     'sparse (default: %(default)s)')
    vss.add_argument('--img-suffix', metavar='ENDING',
                     help='ending of the image files; default: the usual ones, or the ending that the images share')
    vss.add_argument('--seg-map-suffix', metavar='ENDING',
                     help='ending of the mask files, such as _labelIds.png; the rest is the name of the frame. '
                     'Default: .png, or the ending that the masks share if no prediction is named otherwise')
    classes = vss.add_mutually_exclusive_group()
    classes.add_argument('--classes', nargs='+', metavar='NAME',
                         help='names of the classes, or one file with a name per line (default: those of VSPW)')
    classes.add_argument('--num-classes', type=NumberArgument(1, 255, whole=True), metavar='N',
                         help='number of classes, instead of their names')
    vss.add_argument('--label-offset', type=NumberArgument(0, 254, whole=True), default=1,
                     help='mask value of the first class: 1 if 0 is void (default: %(default)s)')
    vss.add_argument('--void-values', nargs='+', type=NumberArgument(0, 255, whole=True), metavar='VALUE',
                     help='mask values of unlabelled pixels; another value that is not a class is an error (default: '
                     'those of VSPW, 0 and 252 to 255; with another --label-offset all that are not classes)')

    vps = tasks.add_parser('vps', parents=[common, missing], help='VPQ and STQ (VIPSeg)')
    vps.add_argument('--split', default='val', help='default: %(default)s')
    vps.add_argument('--ann-file', metavar='FILE',
                     help='JSON of the ground truth below --gt (default: panoptic_gt_VIPSeg_<split>.json)')
    vps.add_argument('--masks', default=f'{vipseg.MASKS}/{{video}}', metavar='FOLDER',
                     help='masks of a video below --gt (default: %(default)s)')

    vis = tasks.add_parser('vis', parents=[common], help='AP and AR, and J&F, IDF1, HOTA (YouTube-VIS, OVIS)')
    vis.add_argument('--split', default='valid', help='split, if --gt is a folder (default: %(default)s)')
    vis.add_argument('--subsets', nargs='+', type=subset, default=[], metavar='NAME=FILE',
                     help='score the videos of each FILE also on their own (AP_NAME, ...): a JSON like the ground '
                     'truth, or a text file (.txt) with the name of a video per line')
    vis.add_argument('--tracking', nargs='?', type=NumberArgument(0, 1), const=MIN_TRACK_SCORE, metavar='SCORE',
                     help='also compute J&F, IDF1 and HOTA, of the tracks with at least this score (without a value: '
                     f'{MIN_TRACK_SCORE})')
    for task in (vss, vps, vis):
        task.formatter_class = argparse.RawDescriptionHelpFormatter
        task.epilog = EPILOG.replace('%(prog)s', parser.prog)  # without the name of the task
    return parser.parse_args(argv)


def subset(text: str) -> tuple[str, str]:
    """Name and file of a subset from the command line."""
    name, found, path = text.partition('=')
    if not found or not path:
        raise argparse.ArgumentTypeError(f'"{text}" is not NAME=FILE')
    return name, path


def class_names(args: argparse.Namespace) -> Sequence[str]:
    """Names of the classes from the command line."""
    if args.num_classes is not None:
        return [str(index) for index in range(args.num_classes)]
    if args.classes is None:
        return VSPW_CLASSES
    if len(args.classes) == 1 and Path(args.classes[0]).is_file():
        return read_names(args.classes[0])
    if len(args.classes) == 1 and (Path(args.classes[0]).suffix or '/' in args.classes[0]):
        raise FileNotFoundError(f'--classes: "{args.classes[0]}" does not exist')
    return args.classes


def void_values(args: argparse.Namespace, num_classes: int) -> list[int] | None:
    """Mask values of void from the command line; None for all that are not classes."""
    if args.void_values is not None or args.label_offset != vspw.LABEL_OFFSET:
        return args.void_values
    labels = range(args.label_offset, args.label_offset + num_classes)
    return [value for value in vspw.VOID_VALUES if value not in labels]


def evaluate(args: argparse.Namespace) -> 'ScoreReport':
    """Score the predictions of the command line."""
    from mmvc.evaluation.files import evaluate_vis, evaluate_vps, evaluate_vss, find_ending
    if args.task == 'vss':
        masks = vspw.list_masks(args.gt, args.list or vspw.list_file(args.split), args.masks,
                                args.seg_map_suffix or vspw.MASK_SUFFIX)
        ending = args.seg_map_suffix or find_ending(args.pred, masks)
        endings = FRAME_SUFFIXES if args.img_suffix is None else (args.img_suffix, )
        unlabelled = vspw.find_unlabelled(args.gt, masks, args.images, ending, endings, args.sparse_labels)
        classes = class_names(args)
        return evaluate_vss(args.pred, masks, classes, args.label_offset, args.workers, args.allow_missing,
                            unlabelled, void_values(args, len(classes)), ending, args.sparse_labels)
    if args.task == 'vps':
        ann_file = args.gt / (args.ann_file or vipseg.ann_file(args.split))
        return evaluate_vps(args.pred, ann_file, str(args.gt / args.masks), args.workers, args.allow_missing,
                            args.sparse_labels)
    ann_file = args.gt
    if not ann_file.is_file():
        ann_file = args.gt / youtube_vis.find_path(args.gt, args.split, youtube_vis.ANN_FILES)
    return evaluate_vis(youtube_vis_results.results_file(args.pred), ann_file, args.workers, dict(args.subsets),
                        args.tracking)


def input_files(args: argparse.Namespace) -> list[Path]:
    """Files that are read and that a report could overwrite."""
    lists = (getattr(args, name, None) for name in ('list', 'ann_file'))
    ground_truth = [args.gt / name for name in (*lists, vipseg.ann_file(args.split),
                                                *(name.format(split=args.split) for name in youtube_vis.ANN_FILES))
                    if name is not None]
    predictions = [args.pred / name for name in (vipseg_results.SEGMENTS, youtube_vis_results.RESULTS)]
    classes = [Path(name) for name in getattr(args, 'classes', None) or ()]
    subsets = [Path(path) for _, path in getattr(args, 'subsets', ())]
    return [path for path in (args.gt, args.pred, *ground_truth, *predictions, *classes, *subsets) if path.is_file()]


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    # these take seconds to import, and --help does not need them
    from mmvc.engine import report_errors
    from mmvc.evaluation.files import report_files
    keep_freed_memory()
    with report_errors():
        if args.out:  # fail before the scoring, not after it
            protect_inputs(report_files(args.out), input_files(args), '--out')
            require_writable(Path(args.out).parent)
        report = evaluate(args)
        files = report.save(args.out) if args.out else []  # first: the standard output may be closed or full
        print(report.to_text(args.worst))
        if files:
            print('written:', *files)
