# Copyright (c) The mmvc contributors. All rights reserved.
"""The published weights: those of the repository itself, and those that the metafiles of the configs list."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmvc.utils.config_names import read_models
from mmvc.utils.shipped_files import find_shipped

from .addresses import is_address

#: weights in the folder `weights` of the repository; the models are those of the metafiles
SHIPPED_WEIGHTS = 'shipped_weights.yml'
#: weights that no model here has been trained to, but that a training may start from
START_WEIGHTS = 'start_weights.yml'


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that somebody has published, as a metafile describes them.

    Attributes:
        name (str): Name of the model in its metafile.
        address (str): ``hf://user/repo@revision/file`` or ``https://...``; or a path in the repository.
        licence (str): Licence, in words.
        layout (str): ``mmvc``, or ``official`` if the file has to be converted.
        read (str): Day on which the address was read.
        seen_in (str): Page or file that names the address.
        checksum (str, optional): Like ``sha256:0676ba61``; the beginning of it is enough. None if it is not known.
        size (str, optional): Size of the file in words. None if it is not known.
        options (dict[str, Any]): Arguments of :func:`mmvc.models.official_weights.convert_official_weights`.
        task (str): Task of the model.
        data (str): Data that it was trained on.
        scores (dict[str, float]): Numbers that its authors publish; those of the file itself, if the repository
            contains it.
        config (str): Config of the model, relative to the folder that contains ``configs``; empty for start weights.
        stage (str, optional): Stage of the config.
    """

    name: str
    address: str
    licence: str
    layout: str
    read: str
    seen_in: str
    checksum: str | None = None
    size: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    task: str = ''
    data: str = ''
    scores: dict[str, float] = field(default_factory=dict)
    config: str = ''
    stage: str | None = None

    @property
    def is_shipped(self) -> bool:
        """Whether the repository contains the file, so that the address is a path in it."""
        return not is_address(self.address)


def list_weights() -> list[PublishedWeights]:
    """List all published weights: first those of the repository, at the end those to start from."""
    models = read_models()
    by_name = {model['Name']: model for model in models}
    shipped = [{**by_name.get(entry['Name'], {}), **entry} for entry in read_models(SHIPPED_WEIGHTS)]
    return [_published(entry) for entry in (*shipped, *models, *read_models(START_WEIGHTS)) if 'Weights' in entry]


def find_weights(name: str) -> PublishedWeights | None:
    """Find published weights by their name.

    Args:
        name (str): Name in a metafile, such as ``dvispp_vitl_vspw_offline``.

    Returns:
        PublishedWeights | None: None if there is no such model, or none of its weights are published.
    """
    return next((weights for weights in list_weights() if weights.name == name), None)


def find_weights_of(config: Path, stage: str | None) -> PublishedWeights | None:
    """Find the published weights of a shipped config.

    Args:
        config (Path): File of the config.
        stage (str, optional): Stage of it.
    """
    folder = find_shipped('configs')
    if folder is None:
        return None
    return next((weights for weights in list_weights() if weights.config and weights.stage == stage
                 and (folder.parent / weights.config).resolve() == config.resolve()), None)


def close_names(name: str) -> list[str]:
    """Names of published weights that look like another name, the closest first."""
    names = [weights.name for weights in list_weights()]
    return difflib.get_close_matches(name, names, n=3, cutoff=0.75)


def _published(entry: dict[str, Any]) -> PublishedWeights:
    details = entry['Weights Details']
    results, *_ = entry.get('Results') or [{}]
    scores = entry.get('Paper Results') if is_address(entry['Weights']) else results.get('Metrics')
    return PublishedWeights(
        name=entry['Name'],
        address=entry['Weights'],
        licence=details['Licence'],
        layout=details['Layout'],
        read=str(details['Read']),
        seen_in=details['Seen In'],
        checksum=details.get('Checksum'),
        size=details.get('Size'),
        options=dict(details.get('Options') or {}),
        task=results.get('Task', ''),
        data=(entry.get('Metadata') or {}).get('Training Data', ''),
        scores=dict(scores or {}),
        config=entry.get('Config', ''),
        stage=entry.get('Stage'))
