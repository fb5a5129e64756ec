# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import pytest

from mmvc.utils.natural_order import natural_key


@pytest.mark.parametrize('names', [
    ('1', '2', '10'),
    ('frame_2.png', 'frame_10.png'),
    ('1700000000.05', '1700000000.1', '1700000001'),
    ('t0.05.jpg', 't0.1.jpg', 't0.25.jpg'),
    ('0.9', '0.95', '1', '1.5', '10.25'),
    ('2024.05.01', '2024.5.2', '2024.10.01'),  # a date is no decimal
    ('٢', '٩', '١٠'),  # Arabic digits: 2, 9, 10
    ('１', '２', '１０', 'cover'),  # noqa: RUF001  full-width digits
    ('01', '1'),  # equal by value: the text decides
    ('', 'a', 'a1', 'a1b', 'b'),
    ('x²', '²'),  # not a decimal digit
])
def test_numbers_are_sorted_by_value(names):
    assert sorted(set(names), key=natural_key) == list(names)
    paths = [Path('folder.10', name) for name in names]
    assert sorted(set(paths), key=natural_key) == paths
