# Copyright (c) The mmvc contributors. All rights reserved.
"""The 25 classes of OVIS and their colours (RGB). Position = class index = category id - 1.

"Vehical" is spelt as in the data.
"""

OVIS_CLASSES = (
    'Person', 'Bird', 'Cat', 'Dog', 'Horse', 'Sheep', 'Cow', 'Elephant', 'Bear', 'Zebra', 'Giraffe', 'Poultry',
    'Giant_panda', 'Lizard', 'Parrot', 'Monkey', 'Rabbit', 'Tiger', 'Fish', 'Turtle', 'Bicycle', 'Motorcycle',
    'Airplane', 'Boat', 'Vehical',
)

OVIS_PALETTE = (
    (220, 20, 60), (255, 109, 65), (255, 77, 255), (0, 226, 252), (182, 182, 255), (0, 125, 92), (120, 166, 157),
    (110, 76, 0), (174, 57, 255), (199, 100, 0), (72, 0, 118), (179, 0, 194), (0, 82, 0), (119, 11, 32),
    (165, 42, 42), (0, 60, 100), (100, 170, 30), (166, 196, 102), (73, 77, 174), (0, 143, 149), (134, 134, 103),
    (0, 0, 230), (106, 0, 228), (0, 0, 192), (0, 0, 70),
)
