# Copyright (c) The mmvc contributors. All rights reserved.
"""Export an online model as a graph."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmvc.apis.network_size import parse_width_and_height
from mmvc.utils.choices import GRAPH_FORMATS

_ROUNDING = 1e-4  # rounding alone stays below it in float32

EPILOG = """The graph takes a frame and the state, and returns class scores, masks, query embeddings and the new
state. It matches queries by itself, so a program needs a loop and nothing else. Zeros are the state of a video that
begins.
The JSON file beside it (OUT.json) says how frames are normalised, what the tensors are, and names the classes.

The model must be online: MinVIS, DVISOnline or EncoderOnlySegmentor. An ONNX graph is compared with PyTorch on a few
random frames at the end. The packages it needs: pip install onnx onnxruntime onnxscript

examples:
  %(prog)s CONFIG CHECKPOINT --stage online --out dvispp.onnx
  mmvc segment street.mp4 --model dvispp.onnx --out-dir out
  frames of one size, which some accelerators need; weights of 8 bits; a program for torch.export.load:
    %(prog)s CONFIG CHECKPOINT --stage online --size 864x480
    %(prog)s CONFIG CHECKPOINT --stage online --int8
    %(prog)s CONFIG CHECKPOINT --stage online --format torch-export
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Read the arguments, those of the process by default."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Export an online model as a graph (ONNX, or a program of torch.export) with its state as inputs '
        'and outputs.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file, or the name of a config of mmvc')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint: a file, an address, or the name of published '
                        'weights; default: the published weights of the config, if it has some')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of; '
                        'default: the last')
    parser.add_argument('--out', type=Path, metavar='FILE', help='file of the graph; default: <config>_<stage>.onnx, '
                        'or .pt2, in the current folder')
    parser.add_argument('--format', choices=GRAPH_FORMATS, default='onnx', help='default: %(default)s')
    parser.add_argument('--size', type=parse_width_and_height, metavar='WxH', help='width and height of the only '
                        'frames that fit, padding included, such as 864x480; default: frames of any size')
    parser.add_argument('--int8', action='store_true', help='quantise the weights of matrix products to 8 bits: a '
                        'smaller file, with slightly different results (docs/en/deployment.md)')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load the checkpoint even if loading runs code that it contains')
    return parser.parse_args(argv)


def _describe(differences: Mapping[str, float], int8: bool) -> str:
    """Say how much a graph differs from PyTorch, and what to make of it."""
    shown = ', '.join(f'{name} {value:.1e}' for name, value in differences.items())
    text = f'largest differences to PyTorch, relative to the largest value: {shown}'
    if int8 or max(differences.values()) <= _ROUNDING:
        return text
    return (f'{text}\nThat is more than rounding alone. One query can differ by so much if rounding moves a mask '
            'logit across 0, which happens most with random weights. Compare the labels on a video of yours '
            '(docs/en/deployment.md)')


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Raises:
        SystemExit: With a message after an error of the user.
    """
    args = parse_args(argv, prog)
    # these take seconds to import, and --help does not need them
    from mmengine.config import Config

    from mmvc.apis.loading import load_model
    from mmvc.apis.portable_config import portable_config
    from mmvc.deployment.exporting import ExportSettings, export_model
    from mmvc.engine import report_errors
    from mmvc.utils.checkpoint_loading import trust_checkpoints
    from mmvc.utils.errors import UsageError
    from mmvc.utils.outputs import protect_inputs
    from mmvc.utils.tasks import task_of

    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors():
        settings = ExportSettings(args.format, args.size[::-1] if args.size else None, args.int8)
        name = '_'.join(filter(None, [Path(args.config).stem, args.stage]))
        path = args.out or Path(name + GRAPH_FORMATS[args.format])
        protect_inputs([path], [args.config, args.checkpoint], '--out')
        model, cfg, meta = load_model(args.config, args.checkpoint, stage=args.stage)
        task = task_of(model.postprocessor)
        if task is None:
            raise UsageError(f'the task of a {type(model.postprocessor).__name__} is not known: use VSSPostprocessor, '
                             'VPSPostprocessor, VISPostprocessor or a subclass of one')
        postprocessor = Config(dict(postprocessor=cfg.model.postprocessor)).to_dict()['postprocessor']
        export = export_model(model, path, task, meta, postprocessor, portable_config(cfg).text, settings,
                              report=lambda step: print(f'{step} ...', file=sys.stderr))
        print(f'{export.graph}: {export.graph.stat().st_size / 2**20:.1f} MiB')
        print(f'{export.description}: classes, normalisation, inputs and outputs')
        if export.differences is not None:
            print(_describe(export.differences, args.int8))
