# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``mmvc browse`` does."""

import argparse
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmvc.analysis.browsing import BrowsedFrame, PatchMasking, TrainingClips, WholeVideo, draw_clip
from mmvc.analysis.pictures import frames_to_show, spread
from mmvc.engine import data_files, load_config, report_errors, require_dataloader
from mmvc.engine.ground_truth import GroundTruth
from mmvc.utils.normalisation import IMAGENET_MEAN, hidden_color
from mmvc.utils.outputs import protect_inputs
from mmvc.visualization import PanelDrawer


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
    """Draw the clips or videos of the command line."""
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


def run(args: argparse.Namespace) -> None:
    """Run the command; errors of the user take one line."""
    with report_errors():
        browse(args)
