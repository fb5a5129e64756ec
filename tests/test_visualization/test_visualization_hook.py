# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import PixelData

from mmvc.engine import VideoSegVisualizationHook

META = dict(classes=('road', 'car', 'sky'), palette=((128, 64, 128), (0, 0, 142), (70, 130, 180)), label_offset=1)
NUM_FRAMES = 3


@pytest.fixture
def videos(tmp_path):
    """Two videos of 320x200: ground truth road (left) and void (right), predicted car; masks store class + 1."""
    samples = []
    for video in ('a', 'b/c'):
        frames = []
        for index in range(NUM_FRAMES):
            img_path, mask_path = (str(tmp_path / f'{kind}_{video[0]}_{index}.png') for kind in ('image', 'mask'))
            cv2.imwrite(img_path, np.full((200, 320, 3), (10, 20, 30), np.uint8))
            mask = np.zeros((200, 320), np.uint8)
            mask[:, :160] = 1
            cv2.imwrite(mask_path, mask)
            frame = DetDataSample(metainfo=dict(video_id=video, frame_id=index, img_path=img_path,
                                                seg_map_path=mask_path))
            frame.pred_sem_seg = PixelData(sem_seg=torch.full((1, 200, 320), 1, dtype=torch.uint8))
            frames.append(frame)
        sample = TrackDataSample()
        sample.video_data_samples = frames
        samples.append(sample)
    return samples


def read_frame(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1].astype(int)


def test_writes_videos_and_frames(tmp_path, videos):
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=META)))
    hook = VideoSegVisualizationHook(str(tmp_path / 'show'), fps=4, alpha=1.)
    for index, sample in enumerate(videos):
        hook.after_test_iter(runner, index, outputs=[sample])
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['a', 'a.mp4', 'b_c', 'b_c.mp4']
    assert sorted(path.name for path in (tmp_path / 'show/b_c').iterdir()) == [f'image_b_{i}.jpg' for i in range(3)]
    capture = cv2.VideoCapture(str(tmp_path / 'show/a.mp4'))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (NUM_FRAMES, 4)
    picture = read_frame(tmp_path / 'show/a/image_a_1.jpg')
    assert picture.shape == (24 + 200 + 30, 3 * 320, 3)
    row, tolerance = 24 + 100, 8
    assert abs(picture[row, 160] - [30, 20, 10]).max() < tolerance  # input, RGB
    assert abs(picture[row, 320 + 80] - META['palette'][0]).max() < tolerance  # ground truth, offset undone
    assert abs(picture[row, 320 + 240] - [30, 20, 10]).max() < tolerance  # void
    assert abs(picture[row, 640 + 160] - META['palette'][1]).max() < tolerance  # prediction
    legend = picture[-30:].reshape(-1, 3)
    shown = [abs(legend - color).max(1).min() < tolerance for color in META['palette']]
    assert shown == [True, True, False]  # only what occurs


def test_masked_patches_are_black(tmp_path, videos):
    frame = videos[0].video_data_samples[0]
    hidden = np.zeros((4, 5), bool)
    hidden[0, 0] = True  # of the 128x160 image that the model saw
    frame.set_metainfo(dict(masked=True, patch_mask=hidden, patch_size=32, img_shape=(128, 160)))
    VideoSegVisualizationHook().write_video([frame], META, tmp_path)
    picture = read_frame(tmp_path / 'a/image_a_0.jpg')
    assert picture[24 + 20, 20].max() < 8 and abs(picture[24 + 20, 100] - [30, 20, 10]).max() < 8


def test_videos_without_ground_truth(tmp_path, videos):
    frames = videos[0].video_data_samples
    for frame in frames:
        frame.set_metainfo(dict(seg_map_path=None))
    VideoSegVisualizationHook().write_video(frames, META, tmp_path)
    assert read_frame(tmp_path / 'a/image_a_0.jpg').shape[1] == 2 * 320


def test_validation_only_on_request(tmp_path, videos):
    runner = SimpleNamespace(work_dir=str(tmp_path / 'work'), iter=7,
                             val_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=META)))
    VideoSegVisualizationHook().after_val_iter(runner, 0, outputs=videos)
    assert not (tmp_path / 'work').exists()
    VideoSegVisualizationHook(on_val=True).after_val_iter(runner, 0, outputs=videos)
    assert (tmp_path / 'work/videos/val_7/a.mp4').is_file()
