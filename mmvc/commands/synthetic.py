# Copyright (c) The mmvc contributors. All rights reserved.
"""Write a synthetic dataset of labelled videos: no download, exact labels, any size."""

import argparse
import time
from collections.abc import Sequence

from mmvc.datasets.synthetic import METAINFO, PRESETS, WRITERS, SyntheticVideoConfig, make_synthetic_dataset

DEFAULTS = SyntheticVideoConfig()

EPILOG = f"""
The videos show {len(METAINFO['classes'])} classes ({', '.join(METAINFO['classes'])}).
The camera moves and the light changes. Things occlude each other, leave the frame and return with the same identity.

Formats (the same videos in each, in OUT/<format>):
  vspw    video semantic segmentation: data/<video>/{{origin/*.jpg,mask/*.png}}, {{train,val}}.txt
          (mask: 0 = void, class + 1)
  vipseg  video panoptic segmentation, converted: {{images,panomasks,panomasksRGB}}/<video>/,
          panoptic_gt_VIPSeg_{{train,val}}.json
  ytvis   video instance segmentation: {{train,valid}}/JPEGImages/<video>/*.jpg, {{train,valid}}/instances.json
Each also has meta.json with the class names, the palette and the settings. A dataset is written under a hidden name
(.<format>.*.partial) and renamed when it is complete. You can delete such a folder that a killed run left. A complete
dataset with the same settings is kept.

A video depends only on the seed, its split and its number, not on the number of videos or workers.

Presets are settings with a known difficulty. Other options override their values:
  context    for half of the things, only the position above or below the horizon reveals the class
  motion     for half of the things, only the motion (up and down, or from side to side) reveals the class
  texture    for half of the things, only the outline reveals the class: the texture is that of another class
  glimpse    most things show their class in one frame of four, and are plain discs in all others
  occlusion  in front of most things, another thing moves back and forth
  imbalance  the first class of things is twenty times as frequent as the last
  testbed    some of each; configs/mvc/ablations/ use it
With --with-objects, each dataset also has objects/<video>/*.png (identity of the visible thing, 0 = none) and
objects/<video>.json (class, cue and visible share of every thing), which ObjectMetric reads.

examples:
  # the default: 40 + 8 videos for semantic segmentation
  %(prog)s data/synthetic
  # three formats of fewer, longer and larger videos, by 4 processes
  %(prog)s data/synthetic_long --formats vspw vipseg ytvis \\
      --num-train 10 --num-val 2 --num-frames 100 --size 240 360 --workers 4
  # easy: few large things, still camera, constant light
  %(prog)s data/synthetic_easy --num-things 1 3 --thing-radius 0.2 0.35 \\
      --camera-motion 0 --lighting-change 0
  # few training videos where context matters, with the files for scores of occluded and ambiguous things
  %(prog)s data/synthetic_context --preset context --num-train 16 \\
      --with-objects
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument('--preset', choices=list(PRESETS), default='default',
                        help='settings to start from, see below (default: %(default)s)')
    preset = PRESETS[parent.parse_known_args(argv)[0].preset]
    parser = argparse.ArgumentParser(
        prog=prog,
        parents=[parent],
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('out', metavar='OUT', help='folder for the datasets (vspw, vipseg, ytvis)')
    add('--formats', nargs='+', choices=list(WRITERS), default=['vspw'], help='formats to write (default: vspw)')
    add('--num-train', type=int, default=40, help='training videos (default: %(default)s)')
    add('--num-val', type=int, default=8, help='validation videos (default: %(default)s)')
    add('--num-frames', type=int, default=DEFAULTS.num_frames, help='frames per video (default: %(default)s)')
    add('--size', type=int, nargs=2, metavar=('H', 'W'), default=DEFAULTS.size,
        help='height and width in pixels (default: 128 192)')
    add('--seed', type=int, default=0, help='another seed gives other videos (default: %(default)s)')
    add('--num-things', type=int, nargs=2, metavar=('MIN', 'MAX'), default=DEFAULTS.num_things,
        help='things per video; with more things, there is more occlusion (default: 4 7)')
    add('--thing-radius', type=float, nargs=2, metavar=('MIN', 'MAX'), default=DEFAULTS.thing_radius,
        help='radius of the things as share of the shorter side (default: 0.16 0.3)')
    add('--camera-motion', type=float, default=DEFAULTS.camera_motion,
        help='factor on pan, zoom, roll and shake; 0 = still camera (default: %(default)s)')
    add('--lighting-change', type=float, default=DEFAULTS.lighting_change,
        help='factor on the variation of the light; 0 = constant (default: %(default)s)')
    add('--noise', type=float, default=DEFAULTS.noise,
        help='sensor noise, standard deviation in grey levels (default: %(default)s)')
    add('--no-leave-and-return', dest='leave_and_return', action='store_false',
        help='do not make things leave the frame and come back')
    add('--void-boundary', type=int, default=DEFAULTS.void_boundary,
        help='width in pixels of the void line between segments; 0 = none (default: %(default)s)')
    add('--void-blob-prob', type=float, default=DEFAULTS.void_blob_prob,
        help='probability that an unlabelled (void) object moves through a video (default: %(default)s)')
    add('--context-prob', type=float, default=DEFAULTS.context_prob,
        help='probability that only the surroundings reveal the class of a thing (default: %(default)s)')
    add('--motion-prob', type=float, default=DEFAULTS.motion_prob,
        help='probability that only the motion reveals it (default: %(default)s)')
    add('--texture-prob', type=float, default=DEFAULTS.texture_prob,
        help='probability that a thing has the texture of another class (default: %(default)s)')
    add('--glimpse-prob', type=float, default=DEFAULTS.glimpse_prob,
        help='probability that a thing shows its class in one frame of four only (default: %(default)s)')
    add('--occlusion-prob', type=float, default=DEFAULTS.occlusion_prob,
        help='probability that another thing keeps moving in front of a thing (default: %(default)s)')
    add('--imbalance', type=float, default=DEFAULTS.imbalance,
        help='frequency of the first class of things, relative to the last (default: %(default)s)')
    add('--with-objects', action='store_true', help='write objects/, too: identities, occlusion and cues')
    add('--jpeg-quality', type=int, default=95, help='1 (small) to 100 (good) (default: %(default)s)')
    add('--workers', type=int, default=1, help='processes that render and write (default: %(default)s)')
    add('--overwrite', action='store_true', help='replace a synthetic dataset that was made with other settings')
    parser.set_defaults(**preset)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    settings = {name: getattr(args, name) for name in SyntheticVideoConfig.__dataclass_fields__}
    start = time.time()
    with report_errors():
        roots = make_synthetic_dataset(
            args.out,
            SyntheticVideoConfig(**settings),
            formats=args.formats,
            num_train=args.num_train,
            num_val=args.num_val,
            seed=args.seed,
            jpeg_quality=args.jpeg_quality,
            with_objects=args.with_objects,
            workers=args.workers,
            overwrite=args.overwrite)
        for root in roots.values():
            print(f'{root}: complete')
        print(f'{args.num_train} training and {args.num_val} validation videos of {args.num_frames} frames '
              f'({time.time() - start:.1f} s)')
