# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from mmvc.models.data_preprocessors import VideoSegDataPreprocessor

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def sample(num_frames, height, width, with_gt=True):
    track = TrackDataSample()
    track.video_data_samples = [DetDataSample(metainfo=dict(img_shape=(height, width))) for _ in range(num_frames)]
    for frame in track if with_gt else ():
        frame.gt_instances = InstanceData(
            labels=torch.tensor([1]), masks=BitmapMasks(np.ones((1, height, width), np.uint8), height, width))
    return track


def video(num_frames, height, width):
    return torch.randint(0, 256, (num_frames, 3, height, width), dtype=torch.uint8)


def test_training_normalises_pads_and_pads_masks():
    preprocessor = VideoSegDataPreprocessor(mean=MEAN, std=STD)
    videos = [video(2, 40, 50), video(2, 33, 70)]
    data = preprocessor(
        dict(inputs=videos, data_samples=[sample(2, 40, 50), sample(2, 33, 70)]), training=True)
    inputs = data['inputs']
    assert inputs.dtype == torch.float32 and inputs.shape == (2, 2, 3, 64, 96)
    rgb = videos[1][1].flip(0).float()
    expected = (rgb - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(inputs[1, 1, :, :33, :70], expected)
    assert not inputs[1, 1, :, 33:].any() and not inputs[1, 1, :, :, 70:].any()
    masks = data['data_samples'][1][1].gt_instances.masks
    assert masks.masks.shape == (1, 64, 96) and masks.masks.sum() == 33 * 70
    assert data['data_samples'][1][1].batch_input_shape == (64, 96)


def test_testing_leaves_the_video_and_prepares_windows_like_training():
    preprocessor = VideoSegDataPreprocessor(mean=MEAN, std=STD)
    frames = video(5, 40, 50)
    data = preprocessor(dict(inputs=[frames], data_samples=[sample(5, 40, 50, with_gt=False)]), training=False)
    assert data['inputs'][0] is frames and frames.dtype == torch.uint8
    assert data['data_samples'][0][4].batch_input_shape == (64, 64)
    window = preprocessor.prepare_frames(frames[1:3])
    assert window.shape == (1, 2, 3, 64, 64)
    trained = preprocessor(dict(inputs=[frames], data_samples=[sample(5, 40, 50)]), training=True)['inputs']
    torch.testing.assert_close(window, trained[:, 1:3], rtol=0, atol=0)


def test_single_frame_without_statistics():
    preprocessor = VideoSegDataPreprocessor(pad_size_divisor=1, bgr_to_rgb=False)
    frames = video(1, 5, 7)
    assert (preprocessor.prepare_frames(frames)[0] == frames).all()


def test_training_refuses_frames_without_annotations():
    preprocessor = VideoSegDataPreprocessor(mean=MEAN, std=STD)
    with pytest.raises(ValueError, match='no gt_instances'):
        preprocessor(dict(inputs=[video(1, 4, 4)], data_samples=[sample(1, 4, 4, with_gt=False)]), training=True)


def test_testing_refuses_what_is_not_a_video():
    preprocessor = VideoSegDataPreprocessor(mean=MEAN, std=STD)
    with pytest.raises(TypeError, match='uint8'):
        preprocessor(dict(inputs=[video(1, 4, 4).float()], data_samples=[sample(1, 4, 4)]))
