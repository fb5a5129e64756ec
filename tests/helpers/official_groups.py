# Copyright (c) The mmvc contributors. All rights reserved.
"""Parameter groups of the official VidEoMT, PMT and LVMT (``data/encoder_only/optimiser.json.gz``)."""

import gzip
import json
from pathlib import Path

from mmvc.models import EncoderOnlySegmentor
from tests.helpers.encoder_only_goldens import Golden

Settings = tuple[float, float, str]
TUNED = '_tuned_encoder'  # ending of the names of models whose encoder is not frozen


def official_rows(data_dir: Path, name: str) -> list[tuple[str, Settings]]:
    """Factor on the learning rate, weight decay and part (``'encoder'``, ``'new'``) by official parameter."""
    with gzip.open(data_dir / 'encoder_only/optimiser.json.gz') as file:
        return [(parameter, tuple(settings)) for parameter, *settings in json.load(file)[name]]


def official_groups(data_dir: Path, name: str) -> tuple[EncoderOnlySegmentor, dict[str, Settings]]:
    """The model, and the official settings by the names of its parameters."""
    golden = Golden(data_dir, name.removesuffix(TUNED))
    is_tuned = name.startswith('videomt') or name.endswith(TUNED)
    renamed = golden.convert().renamed
    groups: dict[str, Settings] = {}
    for parameter, settings in official_rows(data_dir, name):
        assert groups.setdefault(renamed[parameter], settings) == settings  # queries, keys and values are one here
    return golden.build(freeze_encoder=not is_tuned), groups
