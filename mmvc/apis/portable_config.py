# Copyright (c) The mmvc contributors. All rights reserved.
"""The part of a config that travels with shared weights: what an inferencer needs, and nothing private."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.config import Config

from mmvc.utils.errors import UsageError
from mmvc.utils.literal_config import parse_config_text

from .loading import test_dataset

# settings of a training, or of the machine that reads the data: of no use to others
_LEFT_OUT = ('segmenter_cache', 'feature_cache', 'pretrained', 'backend_args', 'file_client_args', 'sys_path')
_SECRET_KEY = re.compile(r'(^|_)(token|secret|password|passwd|credentials?|(api|access|private)_?key)(_|$)',
                         re.IGNORECASE)
# /home/me, ~/data, ../data, C:\data, \\server\share, file:///data
_LOCAL_PATH = re.compile(r'[/~\\]|\.\.?[/\\]|[A-Za-z]:[\\/]|file:')
# a user, a password or a query in an address
_KEY_IN_ADDRESS = re.compile(r'[a-z][a-z0-9+.-]*://([^/]*@|[^?#]*\?)', re.IGNORECASE)


class PortableConfig(NamedTuple):
    """What :func:`portable_config` returns.

    Args:
        text (str): The config as lines ``name = value``, which mmengine and :func:`parse_config_text` read.
        left_out (list[str]): Keys of the model and of the pipeline that were left out, with the reason.
    """
    text: str
    left_out: list[str]


def portable_config(cfg: Config) -> PortableConfig:
    """Reduce a config to what an inferencer needs to run on another machine.

    It keeps ``default_scope``, ``model`` and the pipeline of the test set. Everything else stays at home: work dir,
    data root, annotation files, ``load_from``, hooks, loggers, schedules. From what it keeps, these are left out:

    - initial weights (``init_cfg`` with a checkpoint, ``pretrained``), because the weights are in the same file;
    - caches of trainings, and settings of storage servers (``backend_args``);
    - values under a key that is called like a secret (``token``, ``password``, ``api_key`` ...);
    - paths of this machine, and addresses with a user, a password or a query.

    Args:
        cfg (Config): Config, without stages.

    Returns:
        PortableConfig: Text of the config, and what was left out of model and pipeline.

    Raises:
        UsageError: The config has no model or no test pipeline, or a value that is no data, such as a function.
    """
    if not isinstance(cfg.get('model'), dict):
        raise UsageError('the config has no "model"')
    pipeline = Config(dict(pipeline=test_dataset(cfg).pipeline)).to_dict()['pipeline']
    left_out: list[str] = []
    data = dict(
        default_scope=cfg.get('default_scope') or 'mmvc',
        model=_public(Config(dict(model=cfg.model)).to_dict()['model'], 'model', left_out),
        test_dataloader=dict(dataset=dict(
            type='BaseVideoSegDataset', test_mode=True, pipeline=_public(pipeline, 'pipeline', left_out))))
    text = Config(data).pretty_text
    if parse_config_text(text, 'the config') != data:
        raise UsageError('the config has values that are no plain data (numbers, text, lists, dicts), so they cannot '
                         'be stored')
    return PortableConfig(text, left_out)


def public_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is private of the metadata of a dataset, as :func:`portable_config` does.

    Args:
        meta (Mapping): Metadata; ``classes`` and ``palette`` are kept as they are.
    """
    known = {key: meta[key] for key in ('classes', 'palette') if key in meta}
    return {**_public({key: value for key, value in meta.items() if key not in known}, 'dataset_meta', []), **known}


def _public(value: Any, path: str, left_out: list[str]) -> Any:
    """Copy a value without the private entries in it; those of a list are left out with the whole list."""
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            reason = _why_private(key, item)
            if reason is None:
                kept[key] = _public(item, f'{path}.{key}', left_out)
            else:
                left_out.append(f'{path}.{key} ({reason})')
        return kept
    if isinstance(value, (list, tuple)):
        return type(value)(_public(item, f'{path}.{index}', left_out) for index, item in enumerate(value))
    return value


def _why_private(key: Any, value: Any) -> str | None:
    if key in _LEFT_OUT:
        return 'a setting of the training or of its machine'
    if key == 'init_cfg' and _names_checkpoint(value):
        return 'initial weights'
    if isinstance(value, str) and _SECRET_KEY.search(str(key)):  # not num_tokens=4, with_cls_token=True
        return 'it may be a secret'
    for text in [value] if isinstance(value, str) else _texts(value):
        if _LOCAL_PATH.match(text):
            return 'a path of this machine'
        if _KEY_IN_ADDRESS.match(text):
            return 'an address that may hold a key'
    return None


def _names_checkpoint(init_cfg: Any) -> bool:
    parts = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    return any(isinstance(part, dict) and part.get('checkpoint') for part in parts)


def _texts(value: Any) -> Sequence[str]:
    """The texts in a list, also in lists inside it, but not in dicts, which are looked at key by key."""
    if isinstance(value, str):
        return [value]
    return [text for item in value for text in _texts(item)] if isinstance(value, (list, tuple, set)) else []
