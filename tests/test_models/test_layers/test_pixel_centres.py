# Copyright (c) The mmvc contributors. All rights reserved.
import torch

from mmvc.models.layers.pixel_centres import pixel_centres


def test_rows_follow_one_another():
    expected = [[1 / 6, 1 / 4], [3 / 6, 1 / 4], [5 / 6, 1 / 4], [1 / 6, 3 / 4], [3 / 6, 3 / 4], [5 / 6, 3 / 4]]
    torch.testing.assert_close(pixel_centres(2, 3, torch.device('cpu')), torch.tensor(expected))
