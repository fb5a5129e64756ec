# Copyright (c) The mmvc contributors. All rights reserved.
"""The command line of :class:`VideoSegInferencer`."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.batch import report_broken
from mmvc.utils.choices import BACKENDS, FPS_RANGE, OUTPUT_FORMATS
from mmvc.utils.errors import UsageError
from mmvc.utils.image_files import SIZE_VARIABLE
from mmvc.utils.overrides import OverrideAction

from .network_size import parse_size

if TYPE_CHECKING:
    from .video_result import VideoResult

DESCRIPTION = """Segment videos of any length. The config decides the task: classes (VSS), segments (VPS) or instances
(VIS).

Inputs are video files, folders of frames, images, quoted patterns ('clips/*.mp4'), addresses (rtsp://...) and camera
numbers. Frames are resized and normalised by the test pipeline of the config. Output files appear only when they are
complete. An input that cannot be read does not keep the others from being segmented; the exit status then is 1.

Ctrl-C keeps the videos that are complete and drops the one in progress; --skip-existing then goes on from there. It
ends a camera or a stream, of which the frames so far are written."""

# Level of FFmpeg's messages: of a damaged video, it reports each packet, and we say what is wrong with it.
_FATAL = '8'

EXAMPLES = """examples:
  a small model whose weights are in the repository (in a clone, without a network):
    %(prog)s street.mp4 --model dvispp_r18_camvid_segmenter --out-dir out
  the models with published weights; one of them, whose weights are downloaded once:
    %(prog)s --list-models vspw
    %(prog)s street.mp4 --model dvispp_r50_vspw_online --out-dir out
  draw the prediction over a video (out/street.mp4):
    %(prog)s street.mp4 --model mvc/dvispp_r50_vspw --weights dvispp.pth --out-dir out
  masks of a folder of frames as PNG and JSON files; the config comes from the checkpoint:
    %(prog)s frames/street --weights dvispp.pth --out-dir out --formats masks rle
  many videos, in the format of the benchmark server:
    %(prog)s 'clips/*.mp4' --weights dvispp.pth --out-dir out --formats official
  go on after an interruption, with frames of 480 pixels in height for the network:
    %(prog)s 'clips/*.mp4' --weights dvispp.pth --out-dir out --size 480 --skip-existing
  a model that "mmvc export" has written, in ONNX Runtime:
    %(prog)s street.mp4 --model dvispp.onnx --out-dir out
  in less than half of the time: every third frame, the others by optical flow:
    %(prog)s street.mp4 --weights dvispp.pth --out-dir out --keyframe-interval 3
  camera 0 until Ctrl-C, with an online model:
    %(prog)s 0 --model mvc/dvispp_r50_vspw --stage online --weights online.pth --out-dir out
  a long or damaged video, with little memory:
    %(prog)s long.mp4 --weights dvispp.pth --out-dir out --max-memory 0.25 --window-size 1 --skip-broken
"""


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Returns:
        argparse.ArgumentParser: The parser.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', nargs='*', metavar='INPUT',
                        help='video, folder of frames, image, pattern, address or camera number; several images are '
                        'the frames of one video')
    model = parser.add_argument_group('model')
    model.add_argument('--model', metavar='CONFIG', help='config file, the name of a config of mmvc, or a '
                       'graph of mmvc export (x.onnx), which needs no checkpoint; default: the config that is stored '
                       'in the checkpoint')
    model.add_argument('--backend', choices=BACKENDS,
                       help='what runs the model; default: onnxruntime for x.onnx, else torch')
    model.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of, such as '
                       'online; default: the last stage')
    model.add_argument('--weights', metavar='CHECKPOINT', help='checkpoint file, folder of save_pretrained(), name of '
                       'published weights, hf://USER/REPO/FILE or https address; default: the published weights of '
                       'the model, if it is given by its name and has some, else load_from of the config; without '
                       'any, random weights and a warning')
    model.add_argument('--list-models', nargs='*', metavar='WORD',
                       help='print the models with published weights, all or those that contain each WORD (such as '
                       'vspw vitl), and exit')
    model.add_argument('--device', help='for example cpu, cuda or cuda:1; default: an accelerator if there is one')
    model.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                       help='override entries of the config, e.g. model.feature_store.dtype=float16')
    model.add_argument('--trust-checkpoint', action='store_true',
                       help='load the checkpoint even if loading runs code that it contains')
    output = parser.add_argument_group('output')
    output.add_argument('--out-dir', default='outputs', help='output folder; default: %(default)s')
    output.add_argument('--formats', nargs='+', choices=OUTPUT_FORMATS, default=['overlay'],
                        help='overlay: VIDEO.mp4; masks: masks/VIDEO/FRAME.png; rle: VIDEO.json, with COCO run-length '
                        'encoding; official: submission format of VSPW, VIPSeg or YouTube-VIS; default: overlay')
    output.add_argument('--fps', type=NumberArgument(*FPS_RANGE),
                        help='frames per second of the overlay; default: those of the input, or 10 if they are not '
                        'known')
    output.add_argument('--opacity', type=NumberArgument(0, 1), default=0.6,
                        help='opacity of the colours of the overlay, 0 to 1; default: %(default)s')
    output.add_argument('--score-thr', type=NumberArgument(0, 1), default=0.3,
                        help='instances with a lower score are not drawn (VIS); default: %(default)s')
    output.add_argument('--side-by-side', action='store_true',
                        help='the overlay shows the frame on the left and the prediction on the right')
    output.add_argument('--no-legend', action='store_true', help='no legend below the overlay, which then is as high '
                        'as the input (VSS with up to 24 classes has one)')
    output.add_argument('--skip-existing', action='store_true', help='leave out videos whose outputs are complete and '
                        'were made with the same source, settings and weights (see .mmvc/ in the output folder)')
    frames = parser.add_argument_group('frames')
    frames.add_argument('--stride', type=NumberArgument(1, whole=True), default=1, metavar='N',
                        help='use every N-th frame; default: 1')
    frames.add_argument('--max-frames', type=NumberArgument(1, whole=True), metavar='N',
                        help='stop after N frames; default: all')
    frames.add_argument('--max-megapixels', type=NumberArgument(0, above=True), metavar='N',
                        help='largest size of an image in millions of pixels, which keeps a small file from filling '
                        f'the memory; default: {SIZE_VARIABLE} of the environment, or 178')
    frames.add_argument('--skip-broken', action='store_true', help='report and skip frames that cannot be read or '
                        'differ in size, instead of stopping')
    speed = parser.add_argument_group('speed and memory')
    speed.add_argument('--online', action='store_true', help='segment each frame as soon as it is read, in constant '
                       'memory, without the frames after it; needs an online model')
    speed.add_argument('--size', type=parse_size, metavar='N|WxH', help='size of the frames for the network: short '
                       'side, or width and height, such as 480 or 854x480; outputs keep the size of the video; '
                       'default: that of the config')
    speed.add_argument('--keyframe-interval', type=NumberArgument(1, whole=True), metavar='N', help='only every N-th '
                       'frame passes through the network, and its masks follow the motion (optical flow) in the '
                       'frames between: with 3, more than twice as fast, and less exact; default: 1, all frames')
    speed.add_argument('--window-size', type=NumberArgument(1, whole=True), metavar='N',
                       help='number of frames per forward pass, which does not change the result; default: that of '
                       'the config, 1 for cameras')
    speed.add_argument('--max-memory', type=NumberArgument(0), metavar='GIB',
                       help='memory for the features of a video; the rest is stored in the folder for temporary '
                       'files (TMPDIR); default: 1')
    speed.add_argument('--amp', choices=('bf16', 'fp16'), help='half precision: faster on GPUs, with slightly '
                       'different results')
    speed.add_argument('--compile', action='store_true', help='compile the network first, which takes a minute or '
                       'more and pays off for long videos')
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Raises:
        SystemExit: With a message after an error of the user or the data, even if it concerns only one of several
            inputs; with 130 after Ctrl-C.
    """
    parser = build_parser(prog)
    args = parser.parse_args(argv)
    if args.list_models is not None:
        from mmvc.zoo import model_table
        print(model_table(' '.join(args.list_models)))
        return
    if not args.inputs:
        parser.error('the following arguments are required: INPUT')
    # these take seconds to import, and --help does not need them
    from mmvc.engine import report_errors
    from mmvc.utils.checkpoint_loading import trust_checkpoints

    from .inferencer import VideoSegInferencer
    from .sources import open_sources
    keep_freed_memory()
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', _FATAL)  # for the first video that OpenCV opens
    if args.trust_checkpoint:
        trust_checkpoints()
    if args.max_megapixels is not None:
        os.environ[SIZE_VARIABLE] = str(args.max_megapixels)
    inputs = args.inputs[0] if len(args.inputs) == 1 else args.inputs
    with report_errors():
        try:
            open_sources(inputs, keep_going=True)  # mistyped names are found before the model is built
            inferencer = VideoSegInferencer(args.model, args.weights, args.device, args.window_size, args.max_memory,
                                            args.amp, args.compile, args.cfg_options, stage=args.stage, size=args.size,
                                            backend=args.backend, keyframe_interval=args.keyframe_interval)
            results = inferencer(
                inputs,
                out_dir=args.out_dir,
                formats=args.formats,
                online=args.online,
                fps=args.fps,
                alpha=args.opacity,
                score_thr=args.score_thr,
                stride=args.stride,
                max_frames=args.max_frames,
                skip_broken=args.skip_broken,
                return_frames=False,
                keep_going=True,
                skip_existing=args.skip_existing,
                side_by_side=args.side_by_side,
                legend=not args.no_legend)
        except KeyboardInterrupt:
            print('interrupted: the video in progress was not written; those before it are complete, and '
                  '--skip-existing goes on after them', file=sys.stderr)
            sys.exit(130)
        for result in results:
            if result.error is None:
                print(describe(result))
        failed = {result.video: result.error for result in results if result.error is not None}
        if len(results) > 1:
            print(summarize(results))
        if len(results) == 1 and failed:
            raise UsageError(*failed.values())
        if failed:
            report_broken(failed, len(results), 'segmented', 'inputs')


def summarize(results: Sequence['VideoResult']) -> str:
    """Count what became of the videos, in one line."""
    earlier = sum(result.is_earlier for result in results)
    failed = sum(result.error is not None for result in results)
    parts = [f'{len(results) - earlier - failed} of {len(results)} inputs segmented']
    parts += [f'{earlier} complete before'] * bool(earlier) + [f'{failed} failed'] * bool(failed)
    return ', '.join(parts)


def describe(result: 'VideoResult') -> str:
    """Summarize the result of a video.

    Args:
        result (VideoResult): Result of the video.

    Returns:
        str: One line, and one more per file.
    """
    height, width = result.size
    skipped = sum(frame.count for frame in result.skipped)
    more = f', {skipped} skipped' if skipped else ''
    more += ', complete before' if result.is_earlier else ''
    frames = f'{result.num_frames} frame{"s" * (result.num_frames != 1)}'
    lines = [f'{result.video}: {frames} of {width}x{height}{more}']
    return '\n'.join([*lines, *(f'  {name}: {path}' for name, path in result.files.items())])
