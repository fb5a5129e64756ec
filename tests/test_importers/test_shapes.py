# Copyright (c) The mmvc contributors. All rights reserved.
import math

import numpy as np
import pytest

from mmvc.importers.shapes import fill_circle, fill_polygon, fill_rectangle
from mmvc.utils.errors import DataError

SIZE = (12, 16)


def test_a_rectangle_covers_whole_pixels():
    mask = np.zeros(SIZE, bool)
    mask[2:5, 3:9] = True
    assert (fill_rectangle([(9, 5), (3, 2)], SIZE) == mask).all()
    assert (fill_polygon([(3, 2), (9, 2), (9, 5), (3, 5)], SIZE) == mask).all()


def test_a_triangle_covers_half_of_its_box():
    mask = fill_polygon([(0, 0), (12, 0), (0, 12)], (12, 12))
    assert abs(int(mask.sum()) - 72) <= 12 and mask[1, 1] and not mask[10, 10]


def test_a_circle_has_its_radius():
    mask = fill_circle([(8, 6), (8, 10)], SIZE)
    assert abs(int(mask.sum()) - math.pi * 16) < 4
    assert mask[6, 8] and mask[2, 8] and not mask[1, 8] and not mask[2, 4]


@pytest.mark.parametrize(('fill', 'points', 'message'), [
    (fill_polygon, [(0, 0), (1, 1)], '2 corners'),
    (fill_polygon, [(0, 0), (1, math.nan), (2, 2)], 'leaves its frame'),
    (fill_polygon, [(0, 0), (1e9, 0), (2, 2)], 'leaves its frame'),
    (fill_polygon, [(0, 0, 0), (1, 1, 1), (2, 2, 2)], 'not pairs'),
    (fill_polygon, [('a', 0), (1, 1), (2, 2)], 'not pairs'),
    (fill_rectangle, [(0, 0)], '1 points'),
    (fill_circle, [(0, 0)], '2 points'),
    (fill_circle, [(0, 0), (math.inf, 0)], '2 points'),
])
def test_faults(fill, points, message):
    with pytest.raises(DataError, match=message):
        fill(points, SIZE)
