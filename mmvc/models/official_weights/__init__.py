# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading and converting weights of the projects that this one builds on."""

from .convert import convert_official_weights
from .converted import ConvertedWeights, describe_classes
from .loading import OfficialWeightsError, load_official_checkpoint

__all__ = [
    'ConvertedWeights', 'OfficialWeightsError', 'convert_official_weights', 'describe_classes',
    'load_official_checkpoint'
]
