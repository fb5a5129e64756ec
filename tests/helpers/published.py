# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights that a test publishes on a server of its own, and a cache of its own."""

import io
from pathlib import Path

import numpy as np
import torch

from mmvc.utils.config_names import METAFILE, read_models
from mmvc.zoo import catalogue

DATA = Path(__file__).parents[1] / 'data'


def use_own_cache(monkeypatch, folder: Path, endpoint: str) -> None:
    """Keep all downloads in a folder, and look for the hub at another address."""
    from huggingface_hub import constants
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setenv('MMVC_HOME', str(folder / 'mmvc'))
    monkeypatch.setattr(constants, 'HF_HOME', str(folder / 'hf'))
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(folder / 'hf/hub'))
    monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(folder / 'hf/token'))
    monkeypatch.setattr(constants, 'HF_STORED_TOKENS_PATH', str(folder / 'hf/stored_tokens'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    use_endpoint(monkeypatch, endpoint)
    monkeypatch.delenv('HF_TOKEN', raising=False)
    monkeypatch.delenv('HUGGING_FACE_HUB_TOKEN', raising=False)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(folder / 'torch'))


def use_endpoint(monkeypatch, endpoint: str) -> None:
    """What ``HF_ENDPOINT`` does, which is read when huggingface_hub is imported."""
    from huggingface_hub import constants
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, 'ENDPOINT', endpoint)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', endpoint + template)


def official_file() -> bytes:
    """A checkpoint of the official code: its tiny DVIS++ offline model, as detectron2 saves it."""
    with np.load(DATA / 'modules/e2e_tiny.npz') as arrays:
        weights = {key[3:]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith('sd/')}
    buffer = io.BytesIO()
    torch.save(dict(model=weights, iteration=7), buffer)
    return buffer.getvalue()


def publish(monkeypatch, name: str, address: str, **details) -> None:
    """Let the catalogue say that the weights of a model are at an address; the other weights are not changed.

    Args:
        monkeypatch: Pytest's fixture.
        name (str): Name of a model in a metafile, or a new one.
        address (str): Where the weights are.
        **details: ``Layout``, ``Checksum``, ``Options``.
    """
    facts = dict(dict(Licence='MIT', Layout='official', Read='2026-11-30', **{'Seen In': 'https://example.org'}),
                 **details)
    published = {'Name': name, 'Weights': address, 'Weights Details': facts}

    def read(file_name=METAFILE):
        models = [{**model, **published} if model['Name'] == name else model for model in read_models(file_name)]
        is_new = not any(model['Name'] == name for model in read_models())
        return [*models, *([published] if is_new and file_name == catalogue.START_WEIGHTS else [])]

    monkeypatch.setattr(catalogue, 'read_models', read)
