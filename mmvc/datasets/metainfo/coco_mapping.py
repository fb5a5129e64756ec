# Copyright (c) The mmvc contributors. All rights reserved.
"""Classes of COCO -> classes of a video dataset. COCO's other classes have no counterpart there."""

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
