# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading and converting weights of the projects that this one builds on."""

from .convert import convert_official_weights, has_official_names
from .converted import ConvertedWeights, describe_classes
from .loading import OfficialWeightsError, load_official_checkpoint, weight_names

__all__ = [
    'ConvertedWeights', 'OfficialWeightsError', 'convert_official_weights', 'describe_classes', 'has_official_names',
    'load_official_checkpoint', 'weight_names'
]
