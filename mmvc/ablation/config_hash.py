# Copyright (c) The mmvc contributors. All rights reserved.
"""Short names for the content of configs."""

import hashlib
import json
from typing import Any

from mmengine.config import Config


def short_hash(*parts: Any) -> str:
    """Compute a short name of some content. It changes when the content does.

    Args:
        parts (Any): Configs, nested dicts, lists, numbers and strings. Other objects count with their ``repr``.

    Returns:
        str: 8 hexadecimal digits.
    """
    text = json.dumps(to_plain(parts), sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def to_plain(value: Any) -> Any:
    """Convert a config to nested dicts and lists, without the classes of mmengine.

    Args:
        value (Any): Config or a part of one.

    Returns:
        Any: Copy of dicts and lists; tuples become lists. Anything else is returned unchanged.
    """
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value
