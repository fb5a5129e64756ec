# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np

from mmvc.utils.optical_flow import source_positions


def test_a_frame_is_moved_back():
    earlier = np.random.default_rng(0).integers(0, 255, (6, 9), np.uint8)
    later = np.roll(earlier, (1, 2), axis=(0, 1))
    x, y = source_positions(np.full((6, 9, 2), (-2, -1), np.float32))
    moved = cv2.remap(earlier, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert x.dtype == y.dtype == np.float32 and np.array_equal(moved[1:, 2:], later[1:, 2:])
