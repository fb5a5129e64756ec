# Copyright (c) The mmvc contributors. All rights reserved.
"""The commands and the Python blocks of the documentation."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs/en').rglob('*.md'))]
#: where commands are checked, too, but not run
MORE_PAGES = [ROOT / 'CONTRIBUTING.md', ROOT / 'weights/README.md', *sorted((ROOT / 'configs').rglob('README.md'))]
PROGRAMS = ('python', 'mmvc', 'bash', 'make', 'mim', 'pip', 'tensorboard')
#: what a comment `# needs data and GPUs` in the documentation may name
NEEDS = ('data', 'weights', 'GPUs', 'Slurm', 'network', 'time', 'tensorboard', 'mim')

_ENVIRONMENT = re.compile(r'[A-Z_]+=.*')
_MARK = re.compile(r'#(?:.*[,;])? ?needs (\w+(?:(?:, | and )\w+)*)')
_FENCE = re.compile(r' *(```|:::)')
_INLINE = re.compile(rf'`((?:{"|".join(PROGRAMS)}) [^`]+)`')


class Command(NamedTuple):
    """A command line of a page, continued lines joined."""

    page: str
    line: int
    words: tuple[str, ...]  # without environment variables and comments
    environment: dict
    needs: tuple[str, ...]  # what it is marked with
    inline: bool  # within a sentence: checked, not run

    @property
    def text(self) -> str:
        """The command, to read."""
        return shlex.join(self.words)


def _parse(page: str, line: int, text: str, needs: tuple[str, ...] = (), inline: bool = False) -> list[Command]:
    """The command of a line, if it is one."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # prose
        return []
    environment = {}
    while words and _ENVIRONMENT.fullmatch(words[0]):
        name, _, environment[name] = words.pop(0).partition('=')
    if not words or words[0] not in PROGRAMS:
        return []
    if words[0] == 'mmvc':  # the console script calls the same function
        words[:1] = ['python', '-m', 'mmvc']
    return [Command(page, line, tuple(words), environment, needs or marks(text), inline)]


def marks(text: str) -> tuple[str, ...]:
    """What the comment in a line says that the command needs."""
    found = _MARK.search(text)
    return tuple(re.split(r', | and ', found.group(1))) if found else ()


def _lines(page: Path) -> Iterator[tuple[int, str, str]]:
    """Number, text and kind of each line: the language of a fenced block, ``indented``, or '' for prose."""
    fence = None
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), 1):
        if _FENCE.match(line):
            fence = line.strip(' `:') or 'text' if fence is None else None
            yield number, '', ''
        else:
            yield number, line, fence or ('indented' if line.startswith('    ') else '')


def commands_of(page: Path) -> list[Command]:
    """All commands of a page, in its order."""
    name, found = page.relative_to(ROOT).as_posix(), []
    start, pending, block_needs = 0, '', ()
    for number, line, kind in _lines(page):
        if not kind:
            pending, block_needs = '', ()
            for text in _INLINE.findall(line):
                found += _parse(name, number, text, inline=True)
            continue
        text = line.strip()
        if text.startswith('# needs '):
            block_needs = marks(text)
        start, pending = start if pending else number, f'{pending} {text}' if pending else text
        if pending.endswith('\\'):
            pending = pending[:-1].rstrip()
            continue
        found += _parse(name, start, pending, block_needs)
        pending = ''
    return found


def python_blocks_of(page: Path) -> list[tuple[int, str, str]]:
    """First line, code, and the last line of prose before it, of each fenced Python block."""
    blocks, before, code, start = [], '', [], 0
    for number, line, kind in _lines(page):
        if kind == 'python':
            start = start if code else number
            code.append(line)
        elif code:
            blocks.append((start, '\n'.join(code) + '\n', before))
            code, before = [], ''
        elif line.strip():
            before = line
    return blocks


COMMANDS = [command for page in [*PAGES, *MORE_PAGES] for command in commands_of(page)]
