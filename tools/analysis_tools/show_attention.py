# Copyright (c) The mmvc contributors. All rights reserved.
"""Show the cross-attention of the temporal refiner.

The tool draws the attention of foreground queries to the queries of the segmenter, with and without Object Masked
Attention (OMA). It measures the share of the weight that goes to background queries.
"""

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
Each frame shows the input, the prediction and heat maps. A heat map has one row per foreground query and one column
per query of the segmenter. Background queries (score of the empty class at least 0.6) are right of the line. "plain"
is the attention in testing. In "OMA", background keys are dropped as in training; --drop-ratio counts for a model that
was trained without OMA. attention.json has the shares by layer and by frame, <video>_share.png plots those by frame.

examples:
  the first video of the test set:
    python tools/analysis_tools/show_attention.py configs/mvc/dvispp_r50_vspw.py mvc_offline.pth --out-dir out
  compare with a model that was trained without OMA, on a folder of frames or a video file:
    python tools/analysis_tools/show_attention.py configs/mvc/dvispp_r50_vspw.py mvc_offline.pth --form sheet \\
        --input frames/street --baseline configs/dvispp/dvispp_r50_vspw.py dvispp_offline.pth
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of an offline model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--baseline', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='another offline model to '
                        'compare with, e.g. one trained without OMA')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--video', metavar='NAME', help='video of the test set; default: the first one')
    source.add_argument('--input', metavar='PATH',
                        help='video file or folder of frames, instead of a video of the test set')
    parser.add_argument('--out-dir', default='work_dirs/attention', help='folder to write to; default: %(default)s')
    parser.add_argument('--form', choices=PICTURE_FORMS, default='video',
                        help='a sheet with a row per frame, a picture per frame, or a video; default: %(default)s')
    parser.add_argument('--layer', type=NumberArgument(0, whole=True),
                        help='layer of the refiner to draw, from 0; default: mean over all layers')
    parser.add_argument('--drop-ratio', type=NumberArgument(0, 1, above=True), default=0.5,
                        help='share of the background keys that OMA drops, if that of the model is 0; '
                        'default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='seed of the dropped keys; default: %(default)s')
    parser.add_argument('--max-frames', type=NumberArgument(1, whole=True),
                        help='stop after this many frames of the video; default: 6 on a sheet, otherwise all')
    parser.add_argument('--fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of a video; default: %(default)s')
    parser.add_argument('--device', help='such as cpu, cuda, cuda:1; default: an accelerator if there is one')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    return parser.parse_args()


def show(args: argparse.Namespace) -> None:
    from mmvc.analysis.attention_video import AttentionVideo  # slow to import, and not needed for --help
    names = ['model', 'baseline'] if args.baseline else ['model']
    pairs: list[tuple[str, str]] = [(args.config, args.checkpoint), *([args.baseline] if args.baseline else [])]
    video = AttentionVideo.from_files(dict(zip(names, pairs)), args.cfg_options, args.data_root, args.device)
    name, source = (None, args.input) if args.input else video.dataset_video(args.video)
    if args.input:
        stem = Path(args.out_dir, Path(args.input).stem)
        protect_inputs([stem, *(stem.with_name(stem.name + suffix) for suffix in ('.mp4', '.png'))], [args.input])
    else:
        protect_inputs([args.out_dir], {Path(file).parent for file in source})
    result = video.write(args.out_dir, source, name, args.form, args.fps, args.layer, args.max_frames, args.drop_ratio,
                         args.seed)
    path = Path(args.out_dir, 'attention.json')
    atomic_write(path, json.dumps(result['numbers'], indent=2).encode())
    for name, numbers in result['numbers']['models'].items():
        even = numbers['background_keys'] / numbers['keys']
        print(f'{name}: {numbers["plain"]["share"]:.1%} of the weight of {numbers["foreground_queries"]} foreground '
              f'queries is on background keys, {numbers["oma"]["share"]:.1%} with OMA ({even:.1%} if evenly spread)')
    print('written:', *result['files'], path)


def main() -> None:
    args = parse_args()
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    with report_errors():
        show(args)


if __name__ == '__main__':
    main()
