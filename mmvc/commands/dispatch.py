# Copyright (c) The mmvc contributors. All rights reserved.
"""The console script ``mmvc``: finds the command and hands it the other arguments."""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from mmvc.version import __version__


class Command(NamedTuple):
    """A command.

    Args:
        module (str): Module with ``main(argv, prog)``, which is imported when the command is used.
        summary (str): What it does, in a line.
    """
    module: str
    summary: str


#: words of a command -> command
COMMANDS = {
    'segment': Command('mmvc.apis.cli', 'segment videos, folders of frames, images or a camera'),
    'demo': Command('mmvc.commands.demo', 'serve a page to segment videos in a browser'),
    'train': Command('mmvc.commands.train', 'train a model, or all stages of one'),
    'test': Command('mmvc.commands.test', 'evaluate a checkpoint, write its predictions and videos'),
    'evaluate': Command('mmvc.commands.evaluate', "score anybody's predictions"),
    'check': Command('mmvc.commands.check', 'check that a dataset is complete and readable'),
    'browse': Command('mmvc.commands.browse', 'draw clips of a dataset with their ground truth'),
    'convert annotations': Command('mmvc.commands.import_annotations',
                                   'labels of CVAT, COCO, LabelMe, Label Studio, YOLO, DAVIS'),
    'models': Command('mmvc.commands.models', 'list the models whose weights are published'),
    'convert vspw': Command('mmvc.commands.convert_vspw', 'VSPW: resize the release to 480 rows'),
    'convert vipseg': Command('mmvc.commands.convert_vipseg', 'VIPSeg: resize the release to 720 rows'),
    'convert coco': Command('mmvc.commands.convert_coco', 'COCO: pseudo-videos for instance segmentation'),
    'convert weights': Command('mmvc.commands.convert_weights', 'weights of other projects'),
    'publish': Command('mmvc.commands.publish', 'turn a training checkpoint into a file to share'),
    'export': Command('mmvc.commands.export', 'turn an online model into a graph (ONNX) that carries its state'),
    'synthetic': Command('mmvc.commands.synthetic', 'generate videos with labels'),
}


def help_text() -> str:
    """Return the help of ``mmvc``: all commands with a line each."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {command.summary}' for name, command in COMMANDS.items()]
    return '\n'.join([
        'usage: mmvc COMMAND [arguments]', '', 'Video semantic, panoptic and instance segmentation.', '', 'commands:',
        *lines, '', 'mmvc COMMAND --help explains a command and shows examples. mmvc --version prints the version.'
    ])


def find_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split the words of a command line into the command and its arguments.

    Args:
        words (Sequence[str]): Arguments of ``mmvc``, at least one.

    Returns:
        tuple[str, list[str]]: Name of the command, a key of :data:`COMMANDS`, and its arguments.

    Raises:
        ValueError: There is no such command; the message lists close ones.
    """
    for count in (2, 1):
        name = ' '.join(words[:count])
        if name in COMMANDS:
            return name, list(words[count:])
    first = words[0]
    group = [name for name in COMMANDS if name.split()[0] == first]
    if group:
        what = f'"{first}" needs a second word' if len(words) == 1 or words[1].startswith('-') else (
            f'there is no "mmvc {first} {words[1]}", only these')
        raise ValueError(f'{what}: {", ".join("mmvc " + name for name in group)}')
    close = difflib.get_close_matches(first, {name.split()[0] for name in COMMANDS}, n=3)
    hint = f'did you mean {" or ".join(close)}?' if close else 'mmvc --help lists the commands'
    raise ValueError(f'there is no command "{first}"; {hint}')


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmvc``.

    Args:
        argv (Sequence[str], optional): Arguments. Defaults to None: those of the process.

    Raises:
        SystemExit: With 2 if there is no such command; with the status of the command.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ('-h', '--help', 'help'):
        print(help_text())
        return
    if words[0] == '--version':
        print(f'mmvc {__version__}')
        return
    try:
        name, arguments = find_command(words)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    importlib.import_module(COMMANDS[name].module).main(arguments, f'mmvc {name}')
