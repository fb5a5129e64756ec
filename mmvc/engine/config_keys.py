# Copyright (c) The mmvc contributors. All rights reserved.
"""Which entries of a config are read, and which are likely misspelt.

A config may define variables of its own (``crop_size``, ``small_tracker``), so an entry that nothing reads is no error
by itself. It is one if its name is almost that of an entry that is read, and the file does not use it.
"""

import inspect
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvc.utils.errors import UsageError
from mmvc.utils.spelling import did_you_mean, misspelt

# Entries that a runner reads, besides the arguments of its class.
_RUNNER_KEYS = ('compile', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'strategy',
                'sync_bn', 'tta_model', 'tta_pipeline')
# Entries that this package reads.
_OWN_KEYS = ('data_root', 'stages', 'models')


def runner_keys() -> set[str]:
    """Names of the entries that a runner of mmengine reads."""
    return {*inspect.signature(Runner.__init__).parameters, *_RUNNER_KEYS} - {'self', 'cfg'}


def check_keys(cfg: Config, label: str) -> None:
    """Raise an error if a config file has a misspelt entry, such as ``val_evalutor``.

    Args:
        cfg (Config): Config as it is written in its file. Names that begin with ``_``, and names that the file or its
            bases use elsewhere, are variables.
        label (str): Name of the config in messages.

    Raises:
        UsageError: Nothing reads an entry, and its name is almost that of an entry that is read.
    """
    known = {*runner_keys(), *_OWN_KEYS}
    for key in cfg:
        if key.startswith('_') or (meant := misspelt(key, known)) is None:
            continue
        if len(re.findall(rf'\b{re.escape(key)}\b', cfg.text or '')) < 2:
            raise UsageError(f'{label} has an entry "{key}" that nothing reads (did you mean "{meant}"?): correct its '
                             'name. A variable of your own may begin with "_"')


def check_options(cfg: Config, options: Mapping[str, Any], where: str, extra: Iterable[str] = ()) -> None:
    """Raise an error if an override names an entry that is likely misspelt, such as ``optim_wraper.optimizer.lr``.

    Overrides may add entries. At the top level, only those that a runner reads; below, only those whose name is not
    almost that of an entry beside it. A warning is logged for an override of a variable, which changes nothing.

    Args:
        cfg (Config): Config before the override.
        options (Mapping[str, Any]): Values by keys like ``optim_wrapper.optimizer.lr``.
        where (str): Beginning of the error messages, which says what does not fit which config.
        extra (Iterable[str]): More names that may be added at the top level. Defaults to ().

    Raises:
        UsageError: An entry does not exist and is likely misspelt.
    """
    known = {*runner_keys(), *_OWN_KEYS, *extra}
    for option in map(str, options):
        first, *others = option.split('.')
        if first not in cfg:
            if first not in known:
                raise UsageError(f'{where}: it has no entry "{first}"'
                                 f'{did_you_mean(first, {*known, *cfg})}, and nothing would read one')
            continue
        if first not in known and 'model' in cfg:
            print_log(f'Override of {option}: "{first}" is only a variable of the config file. What was made from it '
                      'stays as it is: override the entries that use it', logger='current', level=logging.WARNING)
        path, here = first, cfg[first]
        for part in others:
            if isinstance(here, dict) and part not in here and (meant := misspelt(part, here, max_changes=1)):
                raise UsageError(f'{where}: {path} has no entry "{part}" (did '
                                 f'you mean "{path}.{meant}"?)')
            path, here = f'{path}.{part}', _entry(here, part)


def _entry(part: Any, name: str) -> Any:
    """Entry of a dict or, by its position, of a list; None if there is none."""
    if isinstance(part, dict):
        return part.get(name)
    if isinstance(part, (list, tuple)) and name.isdigit() and int(name) < len(part):
        return part[int(name)]
    return None
