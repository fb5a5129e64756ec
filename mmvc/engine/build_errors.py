# Copyright (c) The mmvc contributors. All rights reserved.
"""Which part of a config could not be built, and why. mmengine's errors do not say it."""

import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from mmengine.registry import Registry
from mmengine.runner import Runner

import mmvc.registry
from mmvc.utils.spelling import did_you_mean

#: mmengine's methods that build objects; the first argument of each is the part of the config to build
_BUILDERS = ((Registry, 'build'), (Runner, 'build_train_loop'), (Runner, 'build_val_loop'),
             (Runner, 'build_test_loop'), (Runner, 'build_optim_wrapper'), (Runner, 'build_param_scheduler'))
_REGISTRIES = [value for value in vars(mmvc.registry).values() if isinstance(value, Registry)]
_MAX_SHOWN = 200  # characters of a config in a message
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_UNKNOWN_TYPE = re.compile(r'(\S+) is not in the \S+?::(.+?) registry')


@dataclass(frozen=True)
class FailedBuild:
    """An object that mmengine could not build.

    Args:
        owner (Registry | Runner): What was to build it.
        cfg (Any): The part of the config that describes it.
        method (str): Name of the method of ``owner``.
    """
    owner: Registry | Runner
    cfg: Any
    method: str

    @property
    def kind(self) -> str:
        """Its type, as the config writes it; else the name of the registry or of the method."""
        kind = dict(self.cfg.items()).get('type') if isinstance(self.cfg, dict) else None
        return str(getattr(kind, '__name__', kind) or getattr(self.owner, 'name', self.method))

    def __str__(self) -> str:
        arguments = dict(self.cfg.items()) if isinstance(self.cfg, dict) else {}
        arguments.pop('type', None)
        shown = ', '.join(f'{key}={value!r}' for key, value in arguments.items())
        shown = shown if len(shown) <= _MAX_SHOWN else f'{shown[:_MAX_SHOWN - 3]}...'
        return f'{self.kind}({shown})'


@contextmanager
def record_failed_builds() -> Iterator[dict[Exception, FailedBuild]]:
    """Record which object mmengine was building when an error was raised.

    mmengine's builders are wrapped while the block runs; the errors themselves stay as they are.

    Yields:
        dict[Exception, FailedBuild]: The innermost object, for each error that left a builder.
    """
    failed_builds: dict[Exception, FailedBuild] = {}

    def recording(build: Callable) -> Callable:

        @wraps(build)
        def wrapper(owner: Registry | Runner, cfg: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return build(owner, cfg, *args, **kwargs)
            except Exception as error:
                failed_builds.setdefault(error, FailedBuild(owner, cfg, build.__name__))
                raise

        return wrapper

    originals = [(owner, name, getattr(owner, name)) for owner, name in _BUILDERS]
    for owner, name, build in originals:
        setattr(owner, name, recording(build))
    try:
        yield failed_builds
    finally:
        for owner, name, build in originals:
            setattr(owner, name, build)


def explain_build(error: Exception, failed: FailedBuild) -> str:
    """Describe in one line why an object could not be built.

    Args:
        error (Exception): What was raised, with its traceback.
        failed (FailedBuild): What was being built.

    Returns:
        str: For an unknown type or argument, the name and the most similar one that exists. Otherwise the error, where
        it was raised, and the arguments.
    """
    text = str(error)
    if isinstance(error, KeyError) and (unknown := _UNKNOWN_TYPE.search(text)):
        kind = unknown[1].strip('\'"')
        return (f'the config cannot be built: there is no {unknown[2]} "{kind}"'
                f'{did_you_mean(kind.split(".")[-1], _registered(unknown[2], failed.owner))}')
    if isinstance(error, TypeError) and (unexpected := _UNEXPECTED.search(text)):
        name = unexpected[1]
        arguments = _arguments(failed)
        if isinstance(failed.cfg, dict) and name in failed.cfg and name not in arguments:
            known = f'; its arguments are {", ".join(arguments)}' if arguments else ''
            return (f'the config cannot be built: {failed.kind} has no argument "{name}"'
                    f'{did_you_mean(name, arguments) or known}')
    for key, value in failed.cfg.items() if isinstance(failed.cfg, dict) else ():
        kind = value.get('type') if isinstance(value, dict) else None
        if isinstance(kind, str) and not any(registry.get(kind) for registry in _REGISTRIES):
            hint = did_you_mean(kind, _registered(key, failed.owner))
            return f'the config cannot be built: there is no {key} "{kind}"{hint}'
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return (f'the config cannot be built: {failed.kind}: {type(error).__name__}: {error} '
            f'(raised in {frame.f_code.co_filename}:{line}, for {failed})')


def _registered(name: str, owner: Any) -> set[str]:
    """Types in the registry of a name, in its parents and in the other packages that are loaded."""
    found: set[str] = set()
    for registry in (*_REGISTRIES, owner):
        if isinstance(registry, Registry) and registry.name == name:
            root = registry._get_root_registry()
            for each in (root, *root.children.values()):
                found.update(each.module_dict)
    return found


def _arguments(failed: FailedBuild) -> list[str]:
    """Arguments of the class of an object and, if it passes on others, of its base classes."""
    kind = failed.cfg.get('type') if isinstance(failed.cfg, dict) else None
    if isinstance(kind, str):
        name = getattr(failed.owner, 'name', None)  # mmengine's own registry does not look into that of this package
        own = [registry for registry in _REGISTRIES if name in (None, registry.name)]
        others = [failed.owner] if isinstance(failed.owner, Registry) else []
        kind = next(filter(None, (registry.get(kind) for registry in (*own, *others))), None)
    names: dict[str, None] = {}
    for base in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        function = vars(base).get('__init__') if inspect.isclass(base) else base
        if base is object or not inspect.isroutine(function):
            continue
        parameters = list(inspect.signature(function).parameters.values())
        names.update(dict.fromkeys(each.name for each in parameters
                                   if each.name != 'self' and each.kind in (each.POSITIONAL_OR_KEYWORD,
                                                                            each.KEYWORD_ONLY)))
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return list(names)
