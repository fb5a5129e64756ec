# Copyright (c) The mmvc contributors. All rights reserved.
"""Show the predictions of several models beside input and ground truth, and mark where they differ.

No model is run: predictions are read from folders in the official formats.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
from pathlib import Path

from mmvc.utils.arguments import NumberArgument
from mmvc.utils.choices import FPS_RANGE, PICTURE_FORMS
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.overrides import OverrideAction

EXAMPLES = """
FOLDER holds the files that tools/test.py --format-only --out-dir FOLDER writes:
  vss  FOLDER/<video>/<frame>.png, class indices
  vps  FOLDER/pan_pred/<video>/<frame>.png and FOLDER/pred.json
  vis  FOLDER/results.json

If the dataset has ground truth, wrong regions are outlined in red. The last picture shows, at pixels where the models
differ, the colour of the model that is right, or red if none is. The percentages are shares of right pixels. A track
is matched with the object of its class that it covers best in the whole video. It is drawn in the colour of that
object, and its pixels are right where the object is. Without ground truth, the other models are compared with the
first one.

examples:
  two models on the test videos of a config:
    python tools/analysis_tools/compare_videos.py configs/dvispp/dvispp_r50_vspw.py \\
        --pred DVIS++=work_dirs/dvispp/results MVC=work_dirs/mvc/results --out-dir out
  six frames of one video on a sheet:
    python tools/analysis_tools/compare_videos.py CONFIG --pred A=FOLDER B=FOLDER --videos street --form sheet
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file; one of its dataloaders has the dataset')
    parser.add_argument('--pred', nargs='+', required=True, type=named_folder, metavar='NAME=FOLDER',
                        help='two to five models: title of the column and folder of the predictions')
    parser.add_argument('--out-dir', default='work_dirs/compare', help='folder to write to; default: %(default)s')
    parser.add_argument('--form', choices=PICTURE_FORMS, default='video',
                        help='a sheet with a row per frame, a picture per frame, or a video; default: %(default)s')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='test',
                        help='dataloader whose dataset is shown; default: %(default)s')
    parser.add_argument('--videos', nargs='+', metavar='NAME', help='show only these videos; default: all')
    parser.add_argument('--max-frames', type=NumberArgument(1, whole=True),
                        help='number of frames of a video, evenly spread; default: 6 on a sheet, otherwise all')
    parser.add_argument('--score-thr', type=NumberArgument(0, 1), default=0.3,
                        help='tracks with a lower score are left out (VIS); default: %(default)s')
    parser.add_argument('--alpha', type=NumberArgument(0, 1), default=0.6,
                        help='strength of the colours; default: %(default)s')
    parser.add_argument('--fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of a video; default: %(default)s')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args()
    if len(dict(args.pred)) < len(args.pred):
        parser.error('--pred: two models have the same name: give each model another NAME=')
    return args


def named_folder(text: str) -> tuple[str, str]:
    """Split NAME=FOLDER. Without NAME, the name is the last part of the folder."""
    name, separator, folder = text.partition('=')
    return (name, folder) if separator else (Path(text).name, text)


def compare(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope

    from mmvc.analysis.comparison import VideoComparison
    from mmvc.analysis.pictures import frames_to_show
    from mmvc.analysis.predictions import open_predictions
    from mmvc.engine import data_files, load_config, require_dataloader
    from mmvc.engine.ground_truth import GroundTruth
    from mmvc.visualization import PanelDrawer
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    init_default_scope(cfg.get('default_scope') or 'mmvc')
    dataset = GroundTruth(require_dataloader(cfg, args.split).dataset)
    meta = dataset.dataset.metainfo
    protect_inputs([args.out_dir], [*data_files(dataset.dataset), *(folder for _, folder in args.pred)])
    models = {name: open_predictions(folder, dataset, args.score_thr) for name, folder in args.pred}
    comparison = VideoComparison(dataset, models, PanelDrawer(meta['classes'], meta['palette'], args.alpha))
    max_frames = frames_to_show(args.form, args.max_frames)
    for video in args.videos or dataset.videos:
        path, right = comparison.write(video, args.out_dir, args.form, args.fps, max_frames)
        print(f'{path}  ' + ', '.join(f'{name} {share:.2%}' for name, share in right.items()), flush=True)


def main() -> None:
    args = parse_args()
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    with report_errors():
        compare(args)


if __name__ == '__main__':
    main()
