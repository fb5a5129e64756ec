# Copyright (c) The mmvc contributors. All rights reserved.
"""Serve a page on which one segments videos in a browser."""

import argparse
import os
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec

from mmvc.utils.arguments import NumberArgument
from mmvc.utils.errors import UsageError

DESCRIPTION = """Serve a page for a browser: drop a video or use the camera, choose a model and the kind of output,
watch the progress, see the overlay, the classes and the tracks, and download all results.

The page runs on this machine, without analytics, share links and fonts from other servers. It works without a network
if the models are files. One video is processed at a time. Uploads and results are removed after an hour and when the
page ends (Ctrl-C)."""

EXAMPLES = """examples:
  all models with published weights, by name (a model is downloaded when it is chosen):
    %(prog)s
  a checkpoint that contains its config, as training and publishing write it:
    %(prog)s work_dirs/NAME/offline/iter_40000.pth
  two models to choose from; a checkpoint and a folder of save_pretrained():
    %(prog)s street.safetensors models/kitchen
  a checkpoint without a config, on a GPU, at a given port, opened in the browser:
    %(prog)s dvispp.pth --model mvc/dvispp_r50_vspw --device cuda --port 8000 --open
  for the other machines of a network that one trusts (there is no password):
    %(prog)s street.pth --host 0.0.0.0 --max-upload 100 --max-frames 300
"""
LOCAL_HOSTS = ('127.0.0.1', 'localhost', '::1')


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights', nargs='*', metavar='WEIGHTS', help='checkpoint file or address, folder of '
                        'save_pretrained(), or name of a model with published weights; the page offers all of them. '
                        'Default: all models with published weights, each downloaded when it is chosen')
    model = parser.add_argument_group('model')
    model.add_argument('--model', metavar='CONFIG', help='config file or name, for checkpoints without a config')
    model.add_argument('--stage', metavar='NAME', help='stage of the config; default: the last')
    model.add_argument('--device', help='for example cpu, cuda or cuda:1; default: an accelerator if there is one')
    model.add_argument('--max-memory', type=NumberArgument(0), metavar='GIB', help='memory for the features of a '
                       'video; the rest is stored in the folder for temporary files (TMPDIR); default: 1')
    model.add_argument('--trust-checkpoint', action='store_true',
                       help='load checkpoints even if loading runs code that they contain')
    server = parser.add_argument_group('server')
    server.add_argument('--host', default='127.0.0.1', help='address to listen at; default: %(default)s, for this '
                        'machine only')
    server.add_argument('--port', type=NumberArgument(1, 65535, whole=True), help='default: the first free one from '
                        '7860')
    server.add_argument('--open', action='store_true', help='open the page in a browser')
    server.add_argument('--max-upload', type=NumberArgument(1, whole=True), default=500, metavar='MIB',
                        help='largest size of a video in MiB; default: %(default)s')
    server.add_argument('--max-frames', type=NumberArgument(1, whole=True), metavar='N',
                        help='segment only the first N frames of a video, and say so; default: all')
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.
        prog (str, optional): Name of the command in its help. Defaults to None: the name of the script.

    Raises:
        SystemExit: With a message after an error of the user; with 130 after Ctrl-C while it starts.
    """
    args = build_parser(prog).parse_args(argv)
    from mmvc.engine import report_errors  # it takes seconds to import, and --help does not need it
    with report_errors(), tempfile.TemporaryDirectory(prefix='mmvc-demo-') as folder:
        serve(args, folder)


def serve(args: argparse.Namespace, folder: str, ended: threading.Event | None = None) -> None:
    """Serve the page until Ctrl-C.

    Args:
        args (Namespace): Arguments of the command.
        folder (str): Folder for temporary files.
        ended (Event, optional): Ends it as well, once it is set. Defaults to None.

    Raises:
        UsageError: A package is missing, a model cannot be loaded, or the port is taken.
    """
    require_packages()
    if args.trust_checkpoint:
        from mmvc.utils.checkpoint_loading import trust_checkpoints
        trust_checkpoints()
    # read when Gradio is imported and when it handles a file
    os.environ.update(GRADIO_ANALYTICS_ENABLED='False', GRADIO_TEMP_DIR=os.path.join(folder, 'gradio'))
    for name in ('no_proxy', 'NO_PROXY'):  # Gradio asks the page whether it is there
        os.environ[name] = ','.join(filter(None, [os.environ.get(name), *LOCAL_HOSTS]))
    from mmvc.page.models import ModelShelf, load_inferencer
    load = partial(load_inferencer, stage=args.stage, device=args.device, max_memory=args.max_memory)
    shelf = ModelShelf(args.weights or published_models(), args.model, load)
    if args.weights:
        print(f'loading {shelf.names[0]} ...', flush=True)
        shelf.get(shelf.names[0])  # a fault of it is known before the page is open
    from mmvc.page.blocks import build_page, launch
    page = build_page(shelf, folder, args.max_frames)
    try:
        address = launch(page, args.host, args.port, args.max_upload, args.open)
        print(f'the page is at {address} (Ctrl-C ends it)', flush=True)
        if args.host not in LOCAL_HOSTS:
            print('other machines can reach it, and there is no password', flush=True)
        try:
            (ended or threading.Event()).wait()
        except KeyboardInterrupt:
            print('the page is closed', flush=True)
    finally:
        page.close(verbose=False)


def published_models() -> list[str]:
    """Names of the models with published weights that can be had here; the first ones need no network."""
    from mmvc.zoo import find_shipped_weights, list_weights
    return [weights.name for weights in list_weights()
            if weights.config and (not weights.is_shipped or find_shipped_weights(weights) is not None)]


def require_packages() -> None:
    """Raise an error unless the packages of the page are installed.

    Raises:
        UsageError: Gradio is missing, or PyAV, without which no browser plays the results.
    """
    missing = [package for module, package in (('gradio', 'gradio'), ('av', 'PyAV, which writes H.264'))
               if find_spec(module) is None]
    if missing:
        raise UsageError(f'the page needs {" and ".join(missing)}: pip install "mmvc[page]"')


if __name__ == '__main__':
    main()
