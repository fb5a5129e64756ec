# Copyright (c) The mmvc contributors. All rights reserved.
"""Pages whose tables are made from kept numbers: ``<!-- table: NAME -->`` ... ``<!-- end -->``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.typing import PathLike

from .doc_tables import make_table
from .experiment import Experiment

_MARK = re.compile(r'^<!-- table: (?P<name>\S+) -->\n(?P<body>.*?)^<!-- end -->$', re.MULTILINE | re.DOTALL)
_START = re.compile(r'^<!-- table: .*$', re.MULTILINE)


class DocTables:
    """The tables of a folder of kept numbers.

    ``tables.yml`` names each table, the file of its ``data`` (without suffix) and its form, see :func:`make_table`.

    Args:
        folder (str | Path): The folder.

    Raises:
        DataError: ``tables.yml`` cannot be read.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        path = self.folder / 'tables.yml'
        try:
            self.specs: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise DataError(f'cannot read "{path}" ({error}): it lists the tables by name') from error
        if not isinstance(self.specs, dict) or not all(isinstance(spec, dict) for spec in self.specs.values()):
            raise DataError(f'"{path}" must map names of tables to their form')
        self._experiments: dict[str, Experiment] = {}

    def table(self, name: str) -> list[str]:
        """Make a table, see :func:`make_table`.

        Raises:
            UsageError: There is no such table, or its form is wrong.
            DataError: The file of its numbers is missing or damaged.
        """
        if name not in self.specs:
            raise UsageError(f'no table "{name}" in "{self.folder}/tables.yml": there are {", ".join(self.specs)}')
        return make_table(name, self.specs[name], self.experiment)

    def experiment(self, name: str) -> Experiment:
        """Read the numbers of an experiment, once.

        Raises:
            DataError: The file is missing or damaged.
        """
        if name not in self._experiments:
            path = self.folder / f'{name}.json'
            if not path.is_file():
                raise DataError(f'"{path}" does not exist: a table of "{self.folder}/tables.yml" has data: {name}')
            self._experiments[name] = Experiment(path)
        return self._experiments[name]

    def fill(self, text: str, source: str) -> str:
        """Replace what stands between the marks of a page.

        Args:
            text (str): The page.
            source (str): Its name, for errors.

        Returns:
            str: The page with fresh tables.

        Raises:
            UsageError: A mark is not closed, or names no table.
        """
        if len(_START.findall(text)) != len(_MARK.findall(text)):
            raise UsageError(f'"{source}": a line "<!-- table: NAME -->" has no line "<!-- end -->" after it: add it')

        def fresh(mark: re.Match[str]) -> str:
            name = mark['name']
            return '\n'.join([f'<!-- table: {name} -->', '', *self.table(name), '', '<!-- end -->'])

        return _MARK.sub(fresh, text)


def refresh_pages(paths: Sequence[PathLike], tables: DocTables, write: bool = True) -> list[Path]:
    """Make the tables of pages anew.

    Args:
        paths (Sequence[str | Path]): Markdown files, or folders, whose Markdown files are taken.
        tables (DocTables): The tables.
        write (bool): Whether to write the pages that change. Defaults to True.

    Returns:
        list[Path]: The pages that changed, or would.

    Raises:
        UsageError: A path does not exist, or see :meth:`DocTables.fill`.
    """
    changed = []
    for page in _pages(paths):
        text = page.read_text(encoding='utf-8')
        fresh = tables.fill(text, str(page))
        if fresh != text:
            changed.append(page)
            if write:
                atomic_write(page, fresh.encode())
    return changed


def _pages(paths: Sequence[PathLike]) -> list[Path]:
    pages: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UsageError(f'"{path}" does not exist: name a Markdown file or a folder')
        pages += sorted(path.rglob('*.md')) if path.is_dir() else [path]
    return pages
