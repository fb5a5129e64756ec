# Copyright (c) The mmvc contributors. All rights reserved.
"""The name of a type in a config, however the config writes it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.registry import Registry


def type_name(part: Any) -> str:
    """Name the type of a part of a config.

    Configs write a type as a registered name (``'VSSMetric'``), with a scope (``'mmvc.VSSMetric'``) or, in pure
    Python, as the class itself.

    Args:
        part (Any): A type, or a part of a config with an entry ``type``.

    Returns:
        str: Name without scope and module; empty if there is none.
    """
    if isinstance(part, dict):
        part = part.get('type')
    if part is None:
        return ''
    return str(getattr(part, '__name__', part)).rsplit('.', 1)[-1]


def type_class(part: Any, registry: 'Registry') -> Any:
    """Find the class of a part of a config.

    Args:
        part (Any): A type, or a part of a config with an entry ``type``.
        registry (Registry): Where a name is looked up.

    Returns:
        Any: The class, or the function that builds the object; None if the registry has none of this name.
    """
    if isinstance(part, dict):
        part = part.get('type')
    return registry.get(part) if isinstance(part, str) else part
