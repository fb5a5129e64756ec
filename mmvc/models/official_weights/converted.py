# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights of other projects under the names of this one, with a description of them."""

from dataclasses import dataclass, field

from torch import Tensor

#: number of classes -> datasets with that number
DATASET_OF: dict[int, str] = {
    25: 'OVIS',
    40: 'YouTube-VIS 2019, 2021 or 2022',
    80: 'COCO instances',
    124: 'VSPW or VIPSeg',
    133: 'COCO panoptic',
}

#: entries of checkpoints that are not converted, and why
NOT_NEEDED: dict[str, str] = {'criterion.empty_weight': 'the class weights of the loss come with the config'}


def describe_classes(num_classes: int) -> str:
    """Describe a number of classes with the dataset that has it, e.g. ``25 (OVIS)``."""
    return f'{num_classes} ({DATASET_OF[num_classes]})' if num_classes in DATASET_OF else str(num_classes)


@dataclass
class ConvertedWeights:
    """Weights under the names of this project, and a description of them.

    Attributes:
        state_dict (dict[str, Tensor]): The weights.
        kind (str): Method of the checkpoint, e.g. ``DVIS++ offline``.
        backbone (str): Its backbone, e.g. ``ResNet-50``.
        num_classes (int, optional): Number of classes of the checkpoint, also if its class embeddings are left out.
            None if it has no classes.
        num_queries (int, optional): Number of queries. None if there is only a backbone.
        renamed (dict[str, str]): Official name -> name here, for every converted parameter. Parameters that are joined
            have the same name here; the names of a parameter that is split are in braces.
        left_out (dict[str, str]): Official name -> reason, for every other parameter.
        absent (dict[str, str]): Prefix here -> reason, for modules of a segmenter that these weights lack; a model
            keeps its initialisation there.
    """

    state_dict: dict[str, Tensor]
    kind: str
    backbone: str
    num_classes: int | None = None
    num_queries: int | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
