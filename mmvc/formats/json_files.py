# Copyright (c) The mmvc contributors. All rights reserved.
"""Checked JSON: the error about an annotation file names the file and the key."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmvc.utils.errors import DataError
from mmvc.utils.names import find_name_fault

ID = (int, str)
FLAG = (int, bool)
NAMES = {
    int: 'a 64-bit integer', float: 'a finite number', str: 'text', bool: 'true or false', list: 'a list',
    dict: 'an object', type(None): 'null'
}

_BY_TYPE = (str, list, dict, type(None))  # for these, the type is enough; numbers need a check of their range


class Fault(NamedTuple):
    """A contradiction in an annotation file.

    Attributes:
        kind (str): ``'unknown id'`` if an id is not defined, ``'name'`` if a name leads out of its folder,
            otherwise ``'annotation'``.
        what (str): A sentence that names the file and the entry.
    """
    kind: str
    what: str


def raise_first(faults: Iterable[Fault]) -> None:
    """Raise the first fault as an error, without searching for more.

    Raises:
        DataError: There is a fault.
    """
    for fault in faults:
        raise DataError(fault.what)


def read_json(path: str | Path, schema: Any, expected: str, backend_args: dict | None = None) -> Any:
    """Read a JSON file and check its structure.

    Args:
        path (str | Path): The file.
        schema (Any): Form of the content: a type (``int``, ``float``, ``str``, ``bool``, ``list``,
            ``dict``), a tuple of types of which one must fit, a ``frozenset`` of values of which it must be one,
            ``[schema]`` for a list of such values, or ``{key: schema}`` for an object with these keys (and any
            others). A key that ends in ``?`` may be missing or null.
        expected (str): Description of the right file, for the error.
        backend_args (dict, optional): Where the file lies, see :func:`mmengine.fileio.get`. Defaults to None (local
            disk).

    Returns:
        Any: The content.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not JSON, or its content does not fit the schema.
    """
    if backend_args is None and not Path(path).is_file():
        raise FileNotFoundError(f'"{path}" does not exist: expected {expected}')
    from mmengine import fileio  # slow to import, and not needed for --help
    try:
        content = json.loads(fileio.get(path, backend_args=backend_args))
    except (ValueError, RecursionError) as error:
        raise DataError(f'"{path}" is not valid JSON ({error}): it is damaged or was not downloaded completely; '
                        f'expected {expected}') from error
    if not _fits(content, schema):
        raise DataError(f'"{path}"{find_fault(content, schema)}: expected {expected}')
    return content


def _fits(value: Any, schema: Any) -> bool:
    """Whether a value fits a schema; much faster than :func:`find_fault`, which keeps track of the place."""
    if isinstance(schema, list):
        if not isinstance(value, list):
            return False
        item = schema[0]
        kinds = item if isinstance(item, tuple) else (item, )
        if all(isinstance(kind, type) and kind in _BY_TYPE for kind in kinds):
            return set(map(type, value)).issubset(kinds)
        return all(_fits(entry, item) for entry in value)
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return False
        for key, of_key in schema.items():
            content = value.get(key)
            if content is None:
                if key[-1] == '?':
                    content = value.get(key[:-1])
                    if content is None:
                        continue
                elif key not in value:
                    return False
            if not _fits(content, of_key):
                return False
        return True
    if isinstance(schema, tuple):
        return any(_is_a(value, kind) for kind in schema)
    if isinstance(schema, type):
        return _is_a(value, schema)
    return find_fault(value, schema) is None


def find_fault(value: Any, schema: Any, where: str = '') -> str | None:
    """Describe the first value that does not fit a schema of :func:`read_json`; None if all fit.

    Example:
        >>> find_fault(dict(videos=[dict(id=None)]), dict(videos=[dict(id=str)]))
        ': videos[0].id is null, not text'
    """
    label = f': {where}' if where else ''
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f'{label} is {_describe(value)}, not a list'
        return next(filter(None, (find_fault(item, schema[0], f'{where}[{i}]') for i, item in enumerate(value))), None)
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return f'{label} is {_describe(value)}, not an object'
        missing = [key for key in schema if key not in value and not key.endswith('?')]
        if missing:
            return f'{label} has no {", ".join(missing)}'
        for key, of_key in schema.items():
            name = key.rstrip('?')
            if name != key and value.get(name) is None:
                continue
            fault = find_fault(value[name], of_key, f'{where}.{name}' if where else name)
            if fault:
                return fault
        return None
    if isinstance(schema, frozenset):
        if value is None or isinstance(value, str):
            if value in schema:
                return None
        return f'{label} is {_describe(value)}, not one of {", ".join(sorted(map(_describe, schema)))}'
    types = schema if isinstance(schema, tuple) else (schema, )
    if any(_is_a(value, kind) for kind in types):
        return None
    return f'{label} is {_describe(value)}, not {" or ".join(NAMES[kind] for kind in types)}'


def find_repeats(values: Iterable, what: str, key: str, path: str | Path) -> Iterator[Fault]:
    """Yield a fault for each repeated value; 1 and ``'1'`` are the same value.

    Args:
        values (iterable): The values, such as ids.
        what (str): Meaning of the values, for the error.
        key (str): Place of the values in the file, for the error.
        path (str | Path): The file.
    """
    seen = set()
    for value in values:
        if str(value) in seen:
            yield Fault('annotation', f'"{path}" has the {what} {value!r} twice ({key}); remove or rename one of them')
        seen.add(str(value))


def find_bad_names(values: Iterable, key: str, path: str | Path) -> Iterator[Fault]:
    """Yield a fault for each value that becomes a path and must not, see :func:`mmvc.utils.names.check_name`.

    Args:
        values (iterable): Names of videos or files; numbers are no danger.
        key (str): Their place in the file, for the error.
        path (str | Path): The file that they are from.
    """
    where = f'"{path}", {key}'
    for value in values:
        message = find_name_fault(value, where) if isinstance(value, str) else None
        if message is not None:
            yield Fault('name', message)


def _is_a(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and -2**63 <= value < 2**63
    if kind is float:
        return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, kind)


def _describe(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
