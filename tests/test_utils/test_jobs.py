# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.utils.jobs import prefetch


def test_prefetch_keeps_order_and_errors():
    assert list(prefetch(lambda x: x * x, range(20), ahead=3)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda x: 1 / x, [1, 0]))
