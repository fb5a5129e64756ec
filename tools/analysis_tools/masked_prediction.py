# Copyright (c) The mmvc contributors. All rights reserved.
"""Segment masked videos, show the predictions, and measure how far the mIoU falls."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
import json
from pathlib import Path

from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write
from mmvc.utils.choices import FPS_RANGE, PICTURE_FORMS
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.overrides import OverrideAction

EXAMPLES = """
For every video and mask ratio, the tool draws side by side: input, ground truth, prediction, masked input, and the
prediction for the masked input. Patches are measured in pixels of the network input and are zero there, as in training
with MVC. masked_prediction.json has the mIoU by ratio in percent and its fall from the clean input, over all videos
and for each video. For instances, it is the mIoU of their classes and the background.

examples:
  the first two videos of the test set at the ratio of the training, 0.7:
    python tools/analysis_tools/masked_prediction.py CONFIG CHECKPOINT --num 2 --out-dir out
  the fall at three ratios over the whole test set, without pictures:
    python tools/analysis_tools/masked_prediction.py CONFIG CHECKPOINT --mask-ratio 0.3 0.5 0.7 --form none
  one video with the same patches in all frames, as a video file:
    python tools/analysis_tools/masked_prediction.py CONFIG CHECKPOINT --videos street --tube --form video
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of; '
                        'default: the last')
    parser.add_argument('--mask-ratio', type=NumberArgument(0, 1, above=True), nargs='+', default=[0.7],
                        metavar='R', help='shares of hidden patches, above 0 and up to 1; default: 0.7')
    parser.add_argument('--patch-size', type=NumberArgument(1, whole=True), default=32,
                        help='side of a patch in pixels of the network input; default: %(default)s')
    parser.add_argument('--tube', action='store_true', help='hide the same patches in all frames')
    parser.add_argument('--out-dir', default='work_dirs/masked_prediction', help='folder to write to; default: '
                        '%(default)s')
    parser.add_argument('--form', choices=(*PICTURE_FORMS, 'none'), default='sheet',
                        help='a sheet with a row per frame, a picture per frame, a video, or only the numbers; '
                        'default: %(default)s')
    parser.add_argument('--videos', nargs='+', metavar='NAME', help='use only these videos; default: all')
    parser.add_argument('--num', type=NumberArgument(1, whole=True),
                        help='use only this number of videos, the first ones')
    parser.add_argument('--max-frames', type=NumberArgument(1, whole=True),
                        help='number of frames of a video to draw, evenly spread (all are measured); default: 6 on a '
                        'sheet, otherwise all')
    parser.add_argument('--score-thr', type=NumberArgument(0, 1), default=0.3,
                        help='instances with a lower score are left out (VIS); default: %(default)s')
    parser.add_argument('--fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of a video; default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='seed of the masks; default: %(default)s')
    parser.add_argument('--device', help='such as cpu, cuda, cuda:1; default: an accelerator if there is one')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope

    from mmvc.analysis.masked_prediction import MaskedPrediction, summarize
    from mmvc.analysis.pictures import frames_to_show
    from mmvc.apis.loading import load_model, test_dataset
    from mmvc.engine import data_files, load_config
    from mmvc.engine.ground_truth import GroundTruth
    from mmvc.registry import DATASETS
    from mmvc.utils.devices import usable_device
    from mmvc.utils.normalisation import hidden_color
    from mmvc.visualization import PanelDrawer
    cfg = load_config(args.config, args.cfg_options, args.data_root, args.stage)
    model, cfg, meta = load_model(cfg, args.checkpoint, usable_device(args.device))
    init_default_scope(cfg.get('default_scope') or 'mmvc')
    dataset = test_dataset(cfg)
    analysis = MaskedPrediction(model, DATASETS.build(dataset), GroundTruth(dataset), args.mask_ratio, args.patch_size,
                                args.tube, args.score_thr)
    protect_inputs([args.out_dir], data_files(analysis.ground_truth.dataset))
    drawer = PanelDrawer(meta['classes'], meta['palette'], hidden_color=hidden_color(model.data_preprocessor))
    max_frames = frames_to_show(args.form, args.max_frames)
    results = {}
    for video in (args.videos or analysis.ground_truth.videos)[:args.num]:
        results[video] = result = analysis.segment(video, args.seed)
        print(f'{video}: ' + ', '.join(f'mIoU {value:.2%} at {ratio:g}' for ratio, value in result.miou().items()),
              flush=True)
        for ratio in args.mask_ratio if args.form != 'none' else ():
            print(' ', analysis.draw(video, result, ratio, drawer, args.out_dir, args.form, args.fps, max_frames))
        result.predictions.clear()  # only the confusion matrices are needed later
        result.hidden.clear()
    summary = dict(checkpoint=args.checkpoint, patch_size=args.patch_size, tube=args.tube, seed=args.seed,
                   **summarize(results))
    path = Path(args.out_dir, 'masked_prediction.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(summary, indent=2).encode())
    falls = ', '.join(f'{fall:.2f} at {ratio}' for ratio, fall in summary['fall'].items())
    print(f'all: mIoU {summary["mIoU"]["0"]:.2f} % clean; it falls by {falls}\nwritten: {path}')


def main() -> None:
    args = parse_args()
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    with report_errors():
        run(args)


if __name__ == '__main__':
    main()
