# Copyright (c) The mmvc contributors. All rights reserved.
"""Classes of COCO -> classes of a video dataset. COCO's other classes have no counterpart there."""

from .ovis import OVIS_CLASSES, OVIS_PALETTE
from .youtube_vis import (
    YOUTUBE_VIS_2019_CLASSES,
    YOUTUBE_VIS_2019_PALETTE,
    YOUTUBE_VIS_2021_CLASSES,
    YOUTUBE_VIS_2021_PALETTE,
)

COCO_TO_OVIS = {
    'person': 'Person', 'bicycle': 'Bicycle', 'car': 'Vehical', 'motorcycle': 'Motorcycle', 'airplane': 'Airplane',
    'bus': 'Vehical', 'truck': 'Vehical', 'boat': 'Boat', 'cat': 'Cat', 'dog': 'Dog', 'horse': 'Horse',
    'sheep': 'Sheep', 'cow': 'Cow', 'elephant': 'Elephant', 'bear': 'Bear', 'zebra': 'Zebra', 'giraffe': 'Giraffe',
}

COCO_TO_YOUTUBE_VIS_2019 = {
    'person': 'person', 'bicycle': 'motorbike', 'car': 'sedan', 'motorcycle': 'motorbike', 'airplane': 'airplane',
    'train': 'train', 'truck': 'truck', 'boat': 'boat', 'cat': 'cat', 'dog': 'dog', 'horse': 'horse', 'cow': 'cow',
    'elephant': 'elephant', 'bear': 'bear', 'zebra': 'zebra', 'giraffe': 'giraffe', 'skis': 'snowboard',
    'snowboard': 'snowboard', 'skateboard': 'skateboard', 'surfboard': 'surfboard', 'tennis racket': 'tennis_racket',
}

COCO_TO_YOUTUBE_VIS_2021 = {
    'person': 'person', 'bicycle': 'motorbike', 'car': 'car', 'motorcycle': 'motorbike', 'airplane': 'airplane',
    'train': 'train', 'truck': 'truck', 'boat': 'boat', 'bird': 'bird', 'cat': 'cat', 'dog': 'dog', 'horse': 'horse',
    'cow': 'cow', 'elephant': 'elephant', 'bear': 'bear', 'zebra': 'zebra', 'giraffe': 'giraffe',
    'frisbee': 'flying_disc', 'skis': 'snowboard', 'snowboard': 'snowboard', 'skateboard': 'skateboard',
    'surfboard': 'surfboard', 'tennis racket': 'tennis_racket',
}

#: name of a video dataset -> its classes and palette, and the mapping
TARGETS: dict[str, tuple[dict, dict[str, str]]] = dict(
    ovis=(dict(classes=OVIS_CLASSES, palette=OVIS_PALETTE), COCO_TO_OVIS),
    youtube_vis_2019=(dict(classes=YOUTUBE_VIS_2019_CLASSES, palette=YOUTUBE_VIS_2019_PALETTE),
                      COCO_TO_YOUTUBE_VIS_2019),
    youtube_vis_2021=(dict(classes=YOUTUBE_VIS_2021_CLASSES, palette=YOUTUBE_VIS_2021_PALETTE),
                      COCO_TO_YOUTUBE_VIS_2021))
