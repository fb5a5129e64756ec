# Copyright (c) The mmvc contributors. All rights reserved.
"""Show a dataset: images, ground truth, and the patches that Masked Video Consistency hides.

By default, the tool shows clips of the training pipeline, augmented and masked as in training.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import mmvc  # noqa: F401  registers the scope
from mmvc.analysis.browsing import BrowsedFrame, PatchMasking, TrainingClips, WholeVideo, draw_clip
from mmvc.analysis.pictures import FORMS, frames_to_show, spread
from mmvc.engine import OverrideAction, data_files, load_config, report_errors, require_dataloader
from mmvc.engine.ground_truth import GroundTruth
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.config_names import config_argument
from mmvc.utils.normalisation import IMAGENET_MEAN, hidden_color
from mmvc.utils.outputs import protect_inputs
from mmvc.visualization import FPS_RANGE, PanelDrawer

EXAMPLES = """examples:
  eight training clips of stage 1, each on a sheet with image, ground truth and masked image:
    %(prog)s configs/mvc/dvispp_r50_vspw.py --stage segmenter \\
        --out-dir out
  training clips of stage 2, where all frames have the same mask:
    %(prog)s configs/mvc/dvispp_r50_vspw.py --stage online --out-dir out
  whole validation videos with their ground truth, as video files:
    %(prog)s configs/dvispp/dvispp_r50_vipseg.py --split val --form video
  the patches that another ratio and patch size would hide:
    %(prog)s CONFIG --whole --videos street --mask-ratio 0.5 --patch-size 64
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config file; its dataloaders name the datasets')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config, whose training is shown; '
                        'default: the last')
    parser.add_argument('--out-dir', default='work_dirs/browse', help='folder to write to; default: %(default)s')
    parser.add_argument('--form', choices=FORMS, default='sheet', help='a sheet with a row per frame, a picture per '
                        'frame, or a video; default: %(default)s')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train',
                        help='dataloader whose dataset is shown; default: %(default)s')
    parser.add_argument('--whole', action='store_true',
                        help='show whole videos as they are stored, instead of clips of the training pipeline; '
                        'implied by --split val and --split test')
    parser.add_argument('--videos', nargs='+', metavar='NAME', help='show only these videos, whole')
    parser.add_argument('--num', type=NumberArgument(1, whole=True), default=8,
                        help='number of clips or videos; default: %(default)s')
    parser.add_argument('--max-frames', type=NumberArgument(1, whole=True),
                        help='number of frames of a whole video, evenly spread; default: 6 on a sheet, otherwise '
                        'all')
    mask = parser.add_argument_group('masking', 'default: clips are masked as the training pipeline says, whole '
                                     'videos are not masked')
    mask.add_argument('--mask-ratio', type=NumberArgument(0, 1), help='share of hidden patches, 0 to 1; default: 0.7')
    mask.add_argument('--patch-size', type=NumberArgument(1, whole=True),
                      help='side of a patch in pixels; default: 32')
    mask.add_argument('--tube', action='store_true', help='hide the same patches in all frames')
    parser.add_argument('--alpha', type=NumberArgument(0, 1), default=0.6,
                        help='strength of the colours; default: %(default)s')
    parser.add_argument('--fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of a video; default: %(default)s')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the choice of clips and masks; default: %(default)s')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    return parser.parse_args(argv)


def masking(args: argparse.Namespace) -> PatchMasking | None:
    """Return the masking of the command line; None if there is none."""
    if args.mask_ratio is None and args.patch_size is None and not args.tube:
        return None
    return PatchMasking(args.patch_size or 32, 0.7 if args.mask_ratio is None else args.mask_ratio, args.tube)


def color_of_hidden_pixels(cfg: Config) -> Sequence[float]:
    """Return the colour that the model of a config normalises to 0."""
    data_preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor')
    return hidden_color(MODELS.build(data_preprocessor)) if data_preprocessor else IMAGENET_MEAN


def browse(args: argparse.Namespace) -> None:
    cfg = load_config(args.config, args.cfg_options, args.data_root, args.stage)
    init_default_scope(cfg.get('default_scope') or 'mmvc')
    loader = require_dataloader(cfg, args.split)
    np.random.seed(args.seed)
    whole = args.whole or args.videos or args.split != 'train'
    clips: Iterator[tuple[str, Iterable[BrowsedFrame]]]
    if whole:
        truth = GroundTruth(loader.dataset)
        files, meta = data_files(truth.dataset), truth.dataset.metainfo
        max_frames = frames_to_show(args.form, args.max_frames)
        names = args.videos or [truth.videos[index] for index in spread(len(truth.videos), args.num)]
        clips = ((name, WholeVideo(truth, name, max_frames, masking(args))) for name in names)
    else:
        source = TrainingClips(loader.dataset, masking(args))
        files, meta = source.files, source.metainfo
        clips = (source[index] for index in np.random.permutation(len(source))[:args.num])
    protect_inputs([args.out_dir], files)
    drawer = PanelDrawer(meta['classes'], meta['palette'], args.alpha, hidden_color=color_of_hidden_pixels(cfg))
    for number, (name, frames) in enumerate(clips):
        print(draw_clip(frames, drawer, args.out_dir, f'{number:03d}_{name}', args.form, args.fps), flush=True)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    with report_errors():
        browse(args)
