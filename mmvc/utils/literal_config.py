# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading the text of a config as data. A config is Python code; a config in a checkpoint must not be run."""

import ast
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from .errors import CheckpointError

_CONSTANTS = dict(inf=math.inf, nan=math.nan)  # mmengine writes them without quotes


def stored_config(checkpoint: Mapping, label: str) -> dict | None:
    """Get the config that a training stored in its checkpoint, as data.

    Args:
        checkpoint (Mapping): Content of the checkpoint.
        label (str): Name of the config in messages.

    Returns:
        dict | None: The config; None if the checkpoint has none.

    Raises:
        CheckpointError: The text of the config is more than data; see :func:`parse_config_text`.
    """
    stored = config_text(checkpoint)
    return stored if stored is None or isinstance(stored, dict) else parse_config_text(stored, label)


def config_text(checkpoint: Mapping) -> str | dict | None:
    """Get the config in a checkpoint as it is stored there: text, a dict, or None.

    Args:
        checkpoint (Mapping): Content of the checkpoint.
    """
    hub = checkpoint.get('message_hub')
    info = hub.get('runtime_info') if isinstance(hub, Mapping) else None
    for part in (info, checkpoint.get('meta')):
        stored = part.get('cfg') if isinstance(part, Mapping) else None
        if stored and isinstance(stored, (str, dict)):
            return stored
    return None


def parse_config_text(text: str, label: str) -> dict[str, Any]:
    """Read the text of a config as data, without running it.

    The text may be JSON, or what ``Config.pretty_text`` of mmengine writes: lines ``name = value``. A value consists
    of numbers, strings, None, True, False, lists, tuples, sets, dicts and ``dict(...)``.

    Args:
        text (str): Text of the config.
        label (str): Name of the config in messages.

    Returns:
        dict[str, Any]: The config.

    Raises:
        CheckpointError: The text has anything else, such as an import or a call, or is no config. The message names
            the line.
    """
    try:
        if text.lstrip()[:1] == '{':
            return _require_dict(_json_or_literal(text, label), label)
        return _assignments(ast.parse(text), label)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f'{label} cannot be read: {type(error).__name__}: {error}') from error


def _json_or_literal(text: str, label: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _value(ast.parse(text.strip(), mode='eval').body, label)


def _require_dict(value: Any, label: str) -> dict:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CheckpointError(f'{label} cannot be read: it must be a dict with names as keys')
    return value


def _assignments(module: ast.Module, label: str) -> dict[str, Any]:
    cfg = {}
    for statement in module.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            _refuse(statement, label)
        cfg[target.id] = _value(statement.value, label)
    return cfg


def _value(node: ast.expr, label: str) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant() | ast.Name()):
            number = _value(node.operand, label)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                return -number if isinstance(node.op, ast.USub) else number
        case ast.List():
            return [_value(item, label) for item in node.elts]
        case ast.Tuple():
            return tuple(_value(item, label) for item in node.elts)
        case ast.Set():
            return {_key(item, label) for item in node.elts}
        case ast.Dict():
            return _pairs(node, label)
        case ast.Call(func=ast.Name(id='dict')) if len(node.args) < 2:
            value = _value(node.args[0], label) if node.args else {}
            if isinstance(value, dict):
                for keyword in node.keywords:
                    value.update({keyword.arg: _value(keyword.value, label)} if keyword.arg is not None
                                 else _require_dict(_value(keyword.value, label), label))
                return value
    return _refuse(node, label)


def _pairs(node: ast.Dict, label: str) -> dict:
    pairs: dict = {}
    for key, item in zip(node.keys, node.values):
        value = _value(item, label)
        pairs.update(_require_dict(value, label) if key is None else {_key(key, label): value})
    return pairs


def _key(node: ast.expr, label: str) -> Any:
    value = _value(node, label)
    try:
        hash(value)
    except TypeError:
        _refuse(node, label)
    return value


def _refuse(node: ast.stmt | ast.expr, label: str) -> NoReturn:
    code = ast.unparse(node).splitlines()[0]
    raise CheckpointError(f'{label} cannot be read: line {node.lineno} is code, not data: {code[:80]}. It is not run. '
                          'If you trust its source, use --trust-checkpoint')
