# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmvc.models.utils.row_resize import WideRows, resize_columns, resize_rows, row_taps, strips


@pytest.mark.parametrize('size', [(7, 9), (1, 1), (16, 5)])
@pytest.mark.parametrize('new_size', [(28, 36), (5, 9), (1, 1), (16, 33), (480, 3)])
@pytest.mark.parametrize('rows', [1, 3, 1000])
def test_equals_interpolate(size, new_size, rows):
    x = torch.randn(4, *size)
    expected = F.interpolate(x[None], new_size, mode='bilinear', align_corners=False)[0]
    wide, taps = resize_columns(x, new_size[1]), row_taps(size[0], new_size[0], x.device)
    parts = []
    for start, stop in strips(new_size[0], rows):
        first, last = int(taps.upper[start]), int(taps.lower[stop - 1])
        parts.append(resize_rows(wide[:, first:last + 1], taps, start, stop, first))
        torch.testing.assert_close(parts[-1], resize_rows(wide, taps, start, stop))
    torch.testing.assert_close(torch.cat(parts, dim=1), expected)


def test_strips():
    assert list(strips(7, 3)) == [(0, 3), (3, 6), (6, 7)]
    assert list(strips(2, 5)) == [(0, 2)]


def test_wide_rows_are_those_of_the_whole_image():
    """From top to bottom, with and without overlap, after a gap, within the rows held, and back at the top."""
    x = torch.randn(3, 9, 5)
    whole, rows = resize_columns(x, 14)[..., :11], WideRows(x, 14, 11)
    for first, stop in ((0, 2), (1, 4), (1, 4), (2, 3), (3, 5), (7, 9), (8, 9), (0, 3), (2, 9)):
        assert torch.equal(rows.get(first, stop), whole[:, first:stop])


def test_wide_rows_are_resized_once(monkeypatch):
    resized = []

    def watched(x, width):
        resized.append(x.shape[1])
        return resize_columns(x, width)

    monkeypatch.setattr('mmvc.models.utils.row_resize.resize_columns', watched)
    rows = WideRows(torch.randn(3, 9, 5), 20, 20)
    for start in range(8):
        rows.get(start, start + 2)
    assert sum(resized) == 9
