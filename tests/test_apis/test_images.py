# Copyright (c) The mmvc contributors. All rights reserved.
"""Images in memory, of every type: the same pixels, the same result."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmvc.apis.images import to_bgr
from mmvc.apis.sources import Arrays, open_sources
from mmvc.utils.errors import UsageError


def as_pil(frame):
    return Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def as_tensor(frame):
    return torch.from_numpy(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)


@pytest.mark.parametrize('convert', [np.asarray, as_pil, as_tensor, lambda frame: as_tensor(frame) / 255,
                                     lambda frame: (as_tensor(frame) / 255).double().requires_grad_()])
def test_every_type_gives_the_same_pixels(frames, convert):
    frame = frames[0]
    assert np.array_equal(to_bgr(convert(frame)), frame)
    source, = open_sources(convert(frame))
    assert source.is_image and source.name == 'image' and source.num_frames == 1
    assert np.array_equal(next(source.read()).image, frame)
    for video in ([convert(frame) for frame in frames], iter([convert(frame) for frame in frames])):
        source, = open_sources(video)
        assert type(source) is Arrays and source.name == 'video'
        assert all(np.array_equal(found.image, frame) for found, frame in zip(source.read(), frames))


def test_videos_as_one_tensor(frames, make_inferencer):
    video = torch.stack([as_tensor(frame) for frame in frames[:3]])
    inferencer = make_inferencer()
    expected, found, batch = inferencer(frames[:3])[0], inferencer(video / 255)[0], inferencer([video, video])
    assert [result.video for result in batch] == ['video', 'video_2']
    for result in (found, *batch):
        assert np.array_equal(result.class_maps(), expected.class_maps())


def test_pil_images_of_other_modes():
    grey = to_bgr(Image.fromarray(np.full((4, 5), 7, np.uint8)))
    assert grey.shape == (4, 5, 3) and (grey == 7).all()
    assert to_bgr(Image.new('RGBA', (5, 4), (1, 2, 3, 0))).tolist() == [[[3, 2, 1]] * 5] * 4


@pytest.mark.parametrize('image, message', [
    (torch.zeros(4, 5, 3), r'found a tensor \(4, 5, 3\) of torch.float32'),
    (torch.zeros(3, 4, 5, dtype=torch.int64), 'torch.int64'),
    (torch.full((3, 4, 5), 254.5), 'values from 254.5 to 254.5; divide it by 255'),
    (torch.full((3, 4, 5), 2.), 'values from 2 to 2; undo its normalisation'),
    (torch.full((3, 4, 5), float('nan')), 'values from nan'),
    (torch.zeros(3, 0, 5), r'\(3, 0, 5\)'),
    (np.zeros((3, 4, 5), np.uint8), r'uint8 \(3, 4, 5\)')])
def test_what_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        to_bgr(image)


def test_tensors_of_other_shapes():
    with pytest.raises(UsageError, match=r'a tensor of frames must have the shape .* got \(4, 5\)'):
        open_sources(torch.zeros(4, 5))
