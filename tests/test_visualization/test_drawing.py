# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmvc.visualization import (
    PanelDrawer,
    VideoSegLocalVisualizer,
    VideoWriter,
    legend_strip,
    overlay_segments,
    stable_colors,
)

CLASSES, PALETTE = ('road', 'car', 'sky'), ((128, 64, 128), (0, 0, 142), (70, 130, 180))


def test_overlay_tints_segments_and_darkens_outlines():
    image = np.full((6, 8, 3), 100, np.uint8)
    segments = np.full((6, 8), 255, np.uint8)
    segments[:, 4:] = 1
    out = overlay_segments(image, segments, [0, 1], np.array([[0, 0, 0], [200, 0, 100]], np.uint8), alpha=0.5)
    assert (out[:, :3] == 100).all()  # void keeps the image
    assert (out[:, 5:] == [150, 50, 100]).all()
    assert (image == 100).all()
    segments[:, :4] = 0
    out = overlay_segments(image, segments, [0, 1], np.array([[80, 80, 80], [200, 0, 100]], np.uint8), alpha=0.5)
    assert (out[:, 3] == 40).all()


def test_stable_colors_depend_on_the_id_alone():
    colors = stable_colors(range(60))
    assert len(np.unique(colors, axis=0)) == 60
    assert (stable_colors([7, 3]) == colors[[7, 3]]).all()


def test_legend_wraps_and_shows_every_color():
    names, colors = [f'class number {i}' for i in range(12)], stable_colors(range(12))
    strip = legend_strip(320, names, colors)
    assert strip.shape[1] == 320 and strip.shape[0] > 3 * 22
    present = {tuple(pixel) for pixel in strip.reshape(-1, 3)}
    assert all(tuple(color) in present for color in colors)


class TestPanelDrawer:

    drawer = PanelDrawer(CLASSES, PALETTE, alpha=1.)

    @pytest.mark.parametrize('width, expected', [(80, 320), (480, 480), (1920, 640)])
    def test_sizes(self, width, expected):
        image = np.zeros((width // 2, width, 3), np.uint8)
        picture = self.drawer.draw_sem_seg(image, np.zeros((width // 2, width), np.uint8))
        assert picture.shape == (expected // 2, expected, 3)
        panel = self.drawer.compose_panel({'input': image, 'prediction': picture}, class_ids=[0, 2])
        assert panel.shape[1] == 2 * expected
        assert panel.shape[0] == 24 + expected // 2 + 30

    def test_predictions_of_every_task(self):
        image = np.zeros((100, 320, 3), np.uint8)
        sample = DetDataSample()
        assert self.drawer.draw_prediction(image, sample) is None
        half = torch.zeros(1, 100, 320, dtype=torch.int32)
        half[..., 160:] = 5
        vps = DetDataSample()
        vps.pred_panoptic_seg = PixelData(panoptic_seg=half)
        picture = self.drawer.draw_prediction(image, vps)
        assert (picture[:, :159] == 0).all() and (picture[:, 160:] == stable_colors([5])[0]).all()
        vis = DetDataSample()
        vis.pred_track_instances = InstanceData(
            labels=torch.tensor([0, 0]), scores=torch.tensor([0.9, 0.4]), instances_ids=torch.tensor([4, 8]),
            masks=torch.stack([half[0] == 5, torch.ones(100, 320, dtype=torch.bool)]))
        picture = self.drawer.draw_prediction(image, vis)  # the surer one is in front
        assert (picture[50, 300] == stable_colors([5])[0]).all() and (picture[50, 20] == stable_colors([9])[0]).all()
        vss = DetDataSample()
        vss.pred_sem_seg = PixelData(sem_seg=torch.full((1, 100, 320), 1, dtype=torch.uint8))
        assert (self.drawer.draw_prediction(image, vss) == PALETTE[1]).all()

    def test_errors(self):
        with pytest.raises(ValueError, match='3 colours for 2 classes'):
            PanelDrawer(CLASSES[:2], PALETTE)
        with pytest.raises(ValueError, match='must agree'):
            self.drawer.draw_sem_seg(np.zeros((4, 6, 3), np.uint8), np.zeros((4, 5), np.uint8))


class TestVideoWriter:

    def test_frames_can_be_read_back(self, tmp_path):
        with VideoWriter(tmp_path / 'a/b.mp4', fps=5) as writer:
            for value in (0, 120, 240):
                writer.write(np.full((61, 101, 3), value, np.uint8))
            assert not (tmp_path / 'a/b.mp4').exists()
        capture = cv2.VideoCapture(str(tmp_path / 'a/b.mp4'))
        assert capture.get(cv2.CAP_PROP_FPS) == 5
        for value in (0, 120, 240):
            ok, frame = capture.read()
            assert ok and frame.shape == (62, 102, 3) and abs(frame.mean() - value) < 4
        assert not capture.read()[0]
        assert [path.name for path in (tmp_path / 'a').iterdir()] == ['b.mp4']

    def test_an_error_leaves_no_video(self, tmp_path):
        with pytest.raises(ValueError, match='differ in size'), VideoWriter(tmp_path / 'b.mp4', fps=5) as writer:
            writer.write(np.zeros((60, 100, 3), np.uint8))
            writer.write(np.zeros((60, 102, 3), np.uint8))
        assert not list(tmp_path.iterdir())
        with pytest.raises(ValueError, match='fps'):
            VideoWriter(tmp_path / 'b.mp4', fps=0)


def test_visualizer_draws_a_sample(tmp_path):
    visualizer = VideoSegLocalVisualizer('test', vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    image = np.zeros((100, 320, 3), np.uint8)
    with pytest.raises(ValueError, match='dataset_meta'):
        visualizer.add_datasample('a', image)
    visualizer.dataset_meta = dict(classes=CLASSES, palette=PALETTE)
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.full((1, 100, 320), 1, dtype=torch.uint8)))
    visualizer.add_datasample('a', image, sample, gt_sem_seg=np.full((100, 320), 2, np.uint8), step=3)
    written = cv2.imread(str(tmp_path / 'vis_data/vis_image/a_3.png'))
    assert written.shape == (24 + 100 + 30, 3 * 320, 3)
    assert (written[60, 480, ::-1] == np.rint(0.6 * np.array(PALETTE[2]))).all()
    visualizer.add_datasample('a', image, sample, out_file=str(tmp_path / 'one.png'))
    assert cv2.imread(str(tmp_path / 'one.png')).shape[1] == 2 * 320
