# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights in the folder ``weights`` of the repository, which neither the wheel nor the source archive contains."""

from pathlib import Path

from mmvc.utils.checksums import fits_checksum
from mmvc.utils.errors import CheckpointError
from mmvc.utils.shipped_files import find_shipped

from .catalogue import PublishedWeights, list_weights


def find_shipped_weights(weights: PublishedWeights) -> Path | None:
    """Find the file of weights that the repository contains.

    Args:
        weights (PublishedWeights): Entry of the catalogue with ``is_shipped``.

    Returns:
        Path | None: The file in the source tree of this package, or in the current folder, if that is a clone whose
        package is installed elsewhere; None if it is in neither.
    """
    beside = find_shipped(weights.address)
    here = Path(weights.address)
    return beside if beside is not None and beside.is_file() else here if here.is_file() else None


def require_shipped_weights(weights: PublishedWeights) -> Path:
    """Find such a file, and check that it is the one of the catalogue.

    Args:
        weights (PublishedWeights): Entry of the catalogue with ``is_shipped``.

    Returns:
        Path: The file.

    Raises:
        CheckpointError: It is missing or another one. The message says what to do.
    """
    path = find_shipped_weights(weights)
    if path is None:
        raise CheckpointError(
            f'weights "{weights.name}" are the file {weights.address} of the repository of mmvc, which an '
            'installation does not contain: run the command in the folder of a clone, install the clone with '
            '"pip install -e", or copy the file and give its path (--weights)')
    if weights.checksum is not None and not fits_checksum(path, weights.checksum):
        raise CheckpointError(
            f'weights "{weights.name}": "{path}" is not the file that this version of mmvc knows '
            f'({weights.checksum} does not fit): it was damaged, or it belongs to another version. In a clone, '
            f'"git checkout -- {weights.address}" restores it; to use it as it is, give its path (--weights)')
    return path


def shipped_models() -> list[PublishedWeights]:
    """The models whose weights are found, so that they need no network."""
    return [weights for weights in list_weights() if weights.is_shipped and find_shipped_weights(weights) is not None]
