# Copyright (c) The mmvc contributors. All rights reserved.
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.model import ImgDataPreprocessor
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from mmvc.engine.hooks import VideoSegVisualizationHook
from mmvc.visualization import VideoSegLocalVisualizer, stable_colors

CLASSES, PALETTE = ('road', 'car', 'sky'), ((128, 64, 128), (0, 0, 142), (70, 130, 180))
META = dict(classes=CLASSES, palette=PALETTE)
NUM_FRAMES = 3


@pytest.fixture(autouse=True)
def scope(process_state):
    init_default_scope('mmvc')


@pytest.fixture
def videos(tmp_path):
    """Two videos of 320x200: ground truth road (left) and void (right), predicted car; masks store class + 1."""
    samples = []
    for video in ('a', 'b/c'):
        frames = []
        for index in range(NUM_FRAMES):
            img_path, mask_path = (tmp_path / 'data' / kind / video / f'{index}.png' for kind in ('image', 'mask'))
            for path in (img_path, mask_path):
                path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(img_path), np.full((200, 320, 3), (10, 20, 30), np.uint8))
            mask = np.zeros((200, 320), np.uint8)
            mask[:, :160] = 1
            cv2.imwrite(str(mask_path), mask)
            frame = DetDataSample(metainfo=dict(video_id=video, frame_id=index, img_path=str(img_path),
                                                ori_shape=(200, 320)))
            frame.pred_sem_seg = PixelData(sem_seg=torch.full((1, 200, 320), 1, dtype=torch.uint8))
            frames.append(frame)
        sample = TrackDataSample()
        sample.video_data_samples = frames
        samples.append(sample)
    (tmp_path / 'data/val.txt').write_text('a\nb/c\n')
    return samples


@pytest.fixture
def runner(tmp_path, videos):
    """What the hook asks a runner for."""
    dataset = dict(type='BaseVideoSegDataset', data_root=str(tmp_path / 'data'), ann_file='val.txt', metainfo=META,
                   data_prefix=dict(img_path='image/{video}', seg_map_path='mask/{video}'), img_suffix='.png',
                   label_offset=1, void_values=(0, ), test_mode=True)
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=META))
    return SimpleNamespace(
        work_dir=str(tmp_path / 'work'), iter=7, model=nn.Module(), visualizer=None,
        test_dataloader=loader, val_dataloader=loader,
        cfg=dict(test_dataloader=dict(dataset=dataset), val_dataloader=dict(dataset=dataset)))


def read_frame(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1].astype(int)


def test_writes_videos_and_frames(tmp_path, videos, runner):
    hook = VideoSegVisualizationHook(str(tmp_path / 'show'), fps=4, alpha=1.)
    for index, sample in enumerate(videos):
        hook.after_test_iter(runner, index, outputs=[sample])
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['a', 'a.mp4', 'b_c', 'b_c.mp4']
    assert sorted(path.name for path in (tmp_path / 'show/b_c').iterdir()) == [f'{i}.jpg' for i in range(3)]
    capture = cv2.VideoCapture(str(tmp_path / 'show/a.mp4'))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (NUM_FRAMES, 4)
    picture = read_frame(tmp_path / 'show/a/1.jpg')
    assert picture.shape == (24 + 200 + 30, 3 * 320, 3)
    row, tolerance = 24 + 60, 8
    assert abs(picture[row, 160] - [30, 20, 10]).max() < tolerance  # input, RGB
    assert abs(picture[row, 320 + 80] - PALETTE[0]).max() < tolerance  # ground truth, offset undone
    assert abs(picture[row, 320 + 240] - [30, 20, 10]).max() < tolerance  # void
    assert abs(picture[row, 640 + 160] - PALETTE[1]).max() < tolerance  # prediction
    legend = picture[-30:].reshape(-1, 3)
    shown = [abs(legend - color).max(1).min() < tolerance for color in PALETTE]
    assert shown == [True, True, False]  # only what occurs


@pytest.mark.parametrize('alpha, own, shown', [(0., None, 0.), (1., None, 1.), (0., 1., 1.)])
def test_opacity_is_that_of_the_visualizer_unless_the_hook_has_its_own(tmp_path, videos, runner, alpha, own, shown):
    runner.visualizer = VideoSegLocalVisualizer(alpha=alpha)
    VideoSegVisualizationHook(str(tmp_path / 'show'), alpha=own).after_test_iter(runner, 0, outputs=videos[:1])
    color = read_frame(tmp_path / 'show/a/1.jpg')[24 + 60, 640 + 200]  # prediction: car
    assert abs(color - (PALETTE[1] if shown else [30, 20, 10])).max() < 8


def test_masked_patches_are_hidden(tmp_path, videos, runner):
    frame = videos[0].video_data_samples[0]
    hidden = np.zeros((4, 5), bool)
    hidden[0, 0] = True  # of the 128x160 image that the model saw
    frame.set_metainfo(dict(masked=True, patch_mask=hidden, patch_size=32, img_shape=(128, 160)))
    VideoSegVisualizationHook().write_video([frame], META, tmp_path)
    picture = read_frame(tmp_path / 'a/0.jpg')
    assert abs(picture[24 + 20, 20] - [124, 116, 104]).max() < 8
    assert abs(picture[24 + 20, 100] - [30, 20, 10]).max() < 8
    runner.model.data_preprocessor = ImgDataPreprocessor(mean=[200., 90, 40], std=[1., 1, 1], bgr_to_rgb=True)
    VideoSegVisualizationHook(str(tmp_path / 'show')).after_test_iter(runner, 0, outputs=videos[:1])
    assert abs(read_frame(tmp_path / 'show/a/0.jpg')[24 + 20, 20] - [200, 90, 40]).max() < 8


def test_videos_without_ground_truth(tmp_path, videos, runner):
    shutil.rmtree(tmp_path / 'data/mask')
    VideoSegVisualizationHook(str(tmp_path / 'show')).after_test_iter(runner, 0, outputs=videos)
    assert read_frame(tmp_path / 'show/a/0.jpg').shape[1] == 2 * 320
    runner.cfg['test_dataloader']['dataset']['data_root'] = 'elsewhere'  # broken, but the predictions can be shown
    VideoSegVisualizationHook(str(tmp_path / 'more')).after_test_iter(runner, 0, outputs=videos)
    assert read_frame(tmp_path / 'more/a/0.jpg').shape[1] == 2 * 320


def test_ground_truth_of_some_frames(tmp_path, videos, runner):
    (tmp_path / 'data/mask/a/1.png').unlink()
    VideoSegVisualizationHook(str(tmp_path / 'show')).after_test_iter(runner, 0, outputs=videos[:1])
    pictures = [read_frame(tmp_path / f'show/a/{index}.jpg') for index in range(2)]
    assert pictures[0].shape == pictures[1].shape and pictures[1].shape[1] == 3 * 320
    assert abs(pictures[1][24 + 60, 320 + 80] - [30, 20, 10]).max() < 8


def test_unsure_instances_are_left_out(tmp_path, videos):
    frame = videos[0].video_data_samples[0]
    del frame.pred_sem_seg
    frame.pred_track_instances = InstanceData(
        labels=torch.tensor([0, 2]), scores=torch.tensor([0.9, 0.4]), instances_ids=torch.tensor([3, 4]),
        masks=torch.stack([torch.arange(320) < 160, torch.arange(320) >= 160])[:, None].expand(2, 200, 320))
    VideoSegVisualizationHook(alpha=1., score_thr=0.5).write_video([frame], META, tmp_path)
    picture = read_frame(tmp_path / 'a/0.jpg')
    assert abs(picture[24 + 60, 320 + 80] - stable_colors([3])[0]).max() < 8
    assert abs(picture[24 + 60, 320 + 240] - [30, 20, 10]).max() < 8


def test_validation_only_on_request(tmp_path, videos, runner):
    VideoSegVisualizationHook().after_val_iter(runner, 0, outputs=videos)
    assert not (tmp_path / 'work').exists()
    VideoSegVisualizationHook(on_val=True).after_val_iter(runner, 0, outputs=videos)
    assert (tmp_path / 'work/videos/val_7/a.mp4').is_file()
