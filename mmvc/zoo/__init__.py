# Copyright (c) The mmvc contributors. All rights reserved.
"""Published weights by name: which there are, where they are, and how they become checkpoints of the models here."""

from .catalogue import PublishedWeights, find_weights, find_weights_of, list_weights
from .conversion import HOME_VARIABLE, cache_folder
from .fetching import fetch
from .resolving import is_remote, published_hint, resolve_checkpoint
from .shipped import find_shipped_weights, shipped_models
from .table import model_table

__all__ = [
    'HOME_VARIABLE', 'PublishedWeights', 'cache_folder', 'fetch', 'find_shipped_weights',
    'find_weights', 'find_weights_of', 'is_remote', 'list_weights', 'model_table', 'published_hint',
    'resolve_checkpoint', 'shipped_models'
]
