# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading annotation files of unknown origin: whatever is wrong with one, the error names the file and the key."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmvc.utils.errors import DataError

ID = (int, str)
FLAG = (int, bool)
NAMES = {
    int: 'a 64-bit integer', float: 'a finite number', str: 'text', bool: 'true or false', list: 'a list',
    dict: 'an object', type(None): 'null'
}


def read_json(path: str | Path, schema: Any, expected: str) -> Any:
    """Read a JSON file and check its structure.

    Args:
        path (str | Path): The file.
        schema (Any): What the content must look like: a type (``int``, ``float``, ``str``, ``bool``, ``list``,
            ``dict``), a tuple of types of which one must fit, a ``frozenset`` of values of which it must be one,
            ``[schema]`` for a list of such values, or ``{key: schema}`` for an object with these keys (and any
            others). A key that ends in ``?`` may be missing or null.
        expected (str): What should be in the file, for the error.

    Returns:
        Any: The content.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not JSON, or its content does not fit the schema.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'"{path}" does not exist: expected {expected}')
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f'"{path}" is not valid JSON ({error}): it is damaged or was not downloaded completely; '
                        f'expected {expected}') from error
    fault = find_fault(content, schema)
    if fault:
        raise DataError(f'"{path}"{fault}: expected {expected}')
    return content


def find_fault(value: Any, schema: Any, where: str = '') -> str | None:
    """What does not fit the schema of :func:`read_json` first, such as ``: videos[3].id is null, not text``."""
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


def require_unique(values: Iterable, what: str, path: str | Path) -> None:
    """Raise an error if a value occurs twice.

    Args:
        values (iterable): The values, such as ids.
        what (str): What they are, for the error.
        path (str | Path): The file that they are from.

    Raises:
        DataError: A value occurs twice.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise DataError(f'"{path}" has the {what} {value!r} twice; remove or rename one of them')
        seen.add(value)


def _is_a(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and -2**63 <= value < 2**63
    if kind is float:
        return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, kind)


def _describe(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
