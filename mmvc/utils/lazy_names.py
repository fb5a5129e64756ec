# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of a package whose modules are imported when a name is first used, because they take seconds."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package (str): Name of the package.
        modules (Mapping[str, str]): The module of the package that has a name, by name.

    Returns:
        tuple[Callable, Callable]: The first takes a name and returns what it stands for; it raises an AttributeError
        for other names. The second lists the names, for documentation and completion.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{modules[name]}'), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
