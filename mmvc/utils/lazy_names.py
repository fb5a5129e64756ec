# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of a package whose modules are imported when a name is first used, because they take seconds."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package, which Python calls for names that the package does not have.

    Args:
        package (str): Name of the package.
        modules (Mapping[str, str]): The module of the package that has a name, by name.

    Returns:
        Callable: Takes a name, and returns what it stands for. It raises an AttributeError for other names.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{modules[name]}'), name)

    return get
