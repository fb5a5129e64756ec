# Copyright (c) The mmvc contributors. All rights reserved.
"""The 40 classes of YouTube-VIS 2019 and of 2021 (two different lists) and their colours (RGB).

Position = class index = category id - 1.
"""

YOUTUBE_VIS_2019_CLASSES = (
    'person', 'giant_panda', 'lizard', 'parrot', 'skateboard', 'sedan', 'ape', 'dog', 'snake', 'monkey', 'hand',
    'rabbit', 'duck', 'cat', 'cow', 'fish', 'train', 'horse', 'turtle', 'bear', 'motorbike', 'giraffe', 'leopard',
    'fox', 'deer', 'owl', 'surfboard', 'airplane', 'truck', 'zebra', 'tiger', 'elephant', 'snowboard', 'boat',
    'shark', 'mouse', 'frog', 'eagle', 'earless_seal', 'tennis_racket',
)

YOUTUBE_VIS_2019_PALETTE = (
    (220, 20, 60), (0, 82, 0), (119, 11, 32), (165, 42, 42), (134, 134, 103), (0, 0, 142), (255, 109, 65),
    (0, 226, 252), (5, 121, 0), (0, 60, 100), (250, 170, 30), (100, 170, 30), (179, 0, 194), (255, 77, 255),
    (120, 166, 157), (73, 77, 174), (0, 80, 100), (182, 182, 255), (0, 143, 149), (174, 57, 255), (0, 0, 230),
    (72, 0, 118), (255, 179, 240), (0, 125, 92), (209, 0, 151), (188, 208, 182), (145, 148, 174), (106, 0, 228),
    (0, 0, 70), (199, 100, 0), (166, 196, 102), (110, 76, 0), (133, 129, 255), (0, 0, 192), (183, 130, 88),
    (130, 114, 135), (107, 142, 35), (0, 228, 0), (174, 255, 243), (255, 208, 186),
)

YOUTUBE_VIS_2021_CLASSES = (
    'airplane', 'bear', 'bird', 'boat', 'car', 'cat', 'cow', 'deer', 'dog', 'duck', 'earless_seal', 'elephant',
    'fish', 'flying_disc', 'fox', 'frog', 'giant_panda', 'giraffe', 'horse', 'leopard', 'lizard', 'monkey',
    'motorbike', 'mouse', 'parrot', 'person', 'rabbit', 'shark', 'skateboard', 'snake', 'snowboard', 'squirrel',
    'surfboard', 'tennis_racket', 'tiger', 'train', 'truck', 'turtle', 'whale', 'zebra',
)

YOUTUBE_VIS_2021_PALETTE = (
    (106, 0, 228), (174, 57, 255), (255, 109, 65), (0, 0, 192), (0, 0, 142), (255, 77, 255), (120, 166, 157),
    (209, 0, 151), (0, 226, 252), (179, 0, 194), (174, 255, 243), (110, 76, 0), (73, 77, 174), (250, 170, 30),
    (0, 125, 92), (107, 142, 35), (0, 82, 0), (72, 0, 118), (182, 182, 255), (255, 179, 240), (119, 11, 32),
    (0, 60, 100), (0, 0, 230), (130, 114, 135), (165, 42, 42), (220, 20, 60), (100, 170, 30), (183, 130, 88),
    (134, 134, 103), (5, 121, 0), (133, 129, 255), (188, 208, 182), (145, 148, 174), (255, 208, 186), (166, 196, 102),
    (0, 80, 100), (0, 0, 70), (0, 143, 149), (0, 228, 0), (199, 100, 0),
)
