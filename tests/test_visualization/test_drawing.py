# Copyright (c) The mmvc contributors. All rights reserved.
import sys

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from mmvc.utils.choices import FPS_RANGE
from mmvc.utils.errors import UsageError
from mmvc.visualization import (
    PanelDrawer,
    SegmentMap,
    VideoSegLocalVisualizer,
    VideoWriter,
    hide_pixels,
    legend_strip,
    outline_region,
    overlay_segments,
    stable_colors,
    write_labels,
)
from mmvc.visualization.text import shortened, text_scale, text_size

CLASSES, PALETTE = ('road', 'car', 'sky'), ((128, 64, 128), (0, 0, 142), (70, 130, 180))


def colors_in(picture):
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


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


def test_outline_region_is_its_inner_border():
    region = np.zeros((7, 9), bool)
    region[1:6, 2:8] = True
    out = outline_region(np.zeros((7, 9, 3), np.uint8), region, (255, 0, 0))
    expected = region.copy()
    expected[2:5, 3:7] = False
    assert ((out == [255, 0, 0]).all(-1) == expected).all()
    assert not out[~expected].any()
    at_border = outline_region(np.zeros((7, 9, 3), np.uint8), np.ones((7, 9), bool), (255, 0, 0))
    assert not at_border.any()  # the frame's border is no border of the region


def test_hidden_pixels_get_the_mean():
    image = np.full((4, 6, 3), 200, np.uint8)
    out = hide_pixels(image, np.array([[True, False, False]]))  # a mask of another size
    assert (out[:, :2] == [124, 116, 104]).all() and (out[:, 2:] == 200).all() and (image == 200).all()


def test_stable_colors_depend_on_the_id_alone_and_differ_among_neighbours():
    colors = stable_colors(range(61))
    assert len(np.unique(colors, axis=0)) == 61
    assert (stable_colors([7, 3]) == colors[[7, 3]]).all()
    assert (stable_colors([61 + 7]) == colors[7]).all()
    lab = cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert np.diag(distance, 1).min() > 25  # consecutive ids
    assert distance[:12, :12][~np.eye(12, dtype=bool)].min() > 40  # the tracks of an ordinary video
    assert np.hypot(lab[:, 1], lab[:, 2]).min() > 30  # none is grey


def test_long_text_is_cut():
    assert shortened('road', 100, 12) == 'road'
    cut = shortened('a very long title of a column', 80, 12)
    assert cut.endswith('…') and cut[:-1] == 'a very long title of a column'[:len(cut) - 1]
    assert text_size(cut, 12)[0] <= 80


class TestLegend:

    def test_strip_wraps_and_shows_every_color(self):
        names, colors = [f'class number {i}' for i in range(12)], stable_colors(range(12))
        strip = legend_strip(320, names, colors)
        assert strip.shape[1] == 320 and strip.shape[0] > 3 * 22
        assert {tuple(color) for color in colors.tolist()} <= colors_in(strip)

    def test_contents_are_the_classes_present(self):
        drawer = PanelDrawer(CLASSES, PALETTE)
        legend = drawer.legend(SegmentMap(np.array([[0, 0]]), {0: 0, 2: 2}))
        assert legend.class_ids == [0]
        legend.add(SegmentMap(np.array([[2, 7], [9, -1]]), {2: 2, 7: 1, 9: 1, 5: 0}, frozenset((7, 9))))
        assert legend.class_ids == [0, 1, 2]
        drawn = colors_in(legend.draw(400))
        assert {PALETTE[0], PALETTE[2], *map(tuple, stable_colors([7, 9]).tolist())} <= drawn
        assert PALETTE[1] not in drawn  # its tracks have colours of their own

    def test_marks_and_emptiness(self):
        legend = PanelDrawer(CLASSES, PALETTE).legend(None)
        assert not legend
        assert legend.mark('wrong', (255, 40, 40)) and (255, 40, 40) in colors_in(legend.draw(200))


class TestLabels:

    def written(self, segments, texts):
        return (write_labels(np.full((*segments.ids.shape, 3), 100, np.uint8), segments, texts) != 100).any(-1)

    def test_large_segments_are_labelled_inside_and_small_tracks_above(self):
        ids = np.full((100, 200), -1)
        ids[60:64, 100:110] = 3
        track, stuff = (SegmentMap(ids, {3: 0}, frozenset(tracks)) for tracks in ((3, ), ()))
        rows, columns = np.nonzero(self.written(track, {3: 'car 3'}))
        assert rows.max() < 60 and rows.min() > 40 and 80 < columns.min() < columns.max() < 130
        assert not self.written(stuff, {3: 'road'}).any()
        ids[:, :60] = 4
        rows, columns = np.nonzero(self.written(SegmentMap(ids, {4: 0}), {4: 'road'}))
        assert columns.max() < 60

    def test_labels_do_not_cover_each_other(self):
        ids = np.full((100, 200), -1)
        ids[50:60, 80:90], ids[50:60, 91:100] = 1, 2
        both = SegmentMap(ids, {1: 0, 2: 0}, frozenset((1, 2)))
        one, two = (self.written(SegmentMap(ids, {index: 0}, frozenset((index, ))), {index: 'pedestrian'})
                    for index in (1, 2))
        assert (one & two).any()  # each for itself they would
        assert self.written(both, {1: 'pedestrian', 2: 'pedestrian'})[60:].any()  # the second goes below


class TestLargePictures:
    """Letters, boxes and lines grow with the picture: at 1080 rows they are twice, at 2160 four times as large."""

    def heights(self, rows):
        """Height of the letters of a label, of the title bar and of the legend in a picture of so many rows."""
        columns = rows * 2
        segments = SegmentMap(np.zeros((rows, columns), np.int32), {0: 1})
        image = np.full((rows, columns, 3), 100, np.uint8)
        written = (write_labels(image, segments, {0: 'car'}) != 100).any(-1).any(1)
        drawer = PanelDrawer(CLASSES, PALETTE, labels=False, max_width=columns)
        legend = drawer.legend(segments)
        without, panel = (drawer.compose_panel({'input': image}, of) for of in (None, legend))
        return written.sum(), len(without) - rows, len(panel) - len(without)

    def test_they_grow(self):
        small, base, hd, uhd = map(self.heights, (200, 540, 1080, 2160))
        assert small == base
        for factor, heights in ((2, hd), (4, uhd)):
            assert heights == pytest.approx(np.multiply(base, factor), rel=0.15)

    def test_outlines_grow(self):
        widths = []
        for rows in (200, 1080, 2160):
            ids = np.zeros((rows, rows), np.int32)
            ids[:, rows // 2:] = 1
            out = overlay_segments(np.zeros((rows, rows, 3), np.uint8), ids, [0, 1],
                                   [np.full(3, 200, np.uint8)] * 2, alpha=1.)
            widths.append((out[rows // 2, :, 0] == 100).sum())
        assert widths == [1, 2, 4]

    def test_text_scale(self):
        assert [text_scale(np.zeros(size, np.uint8)) for size in ((1, 1), (360, 640), (540, 960), (1920, 1080))] == [
            1, 1, 1, 2]


class TestPanelDrawer:

    drawer = PanelDrawer(CLASSES, PALETTE, alpha=1., labels=False)

    @pytest.mark.parametrize('width, expected', [(80, 320), (480, 480), (1920, 640)])
    def test_sizes(self, width, expected):
        image = np.zeros((width // 2, width, 3), np.uint8)
        sem_seg = np.zeros((width // 2, width), np.uint8)
        segments = SegmentMap.from_sem_seg(sem_seg, 3)
        picture = self.drawer.draw(image, segments)
        assert picture.shape == (expected // 2, expected, 3)
        legend = self.drawer.legend(segments)
        panel = self.drawer.compose_panel({'input': image, 'prediction': picture}, legend)
        assert panel.shape[1] == 2 * expected
        assert panel.shape[0] == 24 + expected // 2 + 30
        assert self.drawer.compose_panel({'input': image}, self.drawer.legend()).shape[0] == 24 + expected // 2

    def draw_prediction(self, image, sample, score_thr=0.):
        return self.drawer.draw(image, SegmentMap.from_sample(sample, 3, score_thr))

    def test_predictions_of_every_task(self):
        image = np.zeros((100, 320, 3), np.uint8)
        sample = DetDataSample()
        assert SegmentMap.from_sample(sample, 3) is None
        half = torch.zeros(1, 100, 320, dtype=torch.int32)
        half[..., 160:] = 5
        half[:, :50, :160] = 6
        segments_info = [dict(id=5, category_id=1, isthing=True), dict(id=6, category_id=2, isthing=False)]
        vps = DetDataSample(metainfo=dict(segments_info=segments_info))
        vps.pred_panoptic_seg = PixelData(panoptic_seg=half)
        picture = self.draw_prediction(image, vps)
        assert (picture[52:, :159] == 0).all() and (picture[:, 160:] == stable_colors([5])[0]).all()
        assert (picture[:49, :159] == PALETTE[2]).all()  # stuff has the colour of its class
        vis = DetDataSample()
        vis.pred_track_instances = InstanceData(
            labels=torch.tensor([0, 0, 0]), scores=torch.tensor([0.9, 0.4, 0.2]),
            instances_ids=torch.tensor([4, 8, 1]),
            masks=torch.stack([half[0] == 5, half[0] > -1, half[0] == 0]))
        picture = self.draw_prediction(image, vis)  # the surer one is in front
        assert (picture[50, 300] == stable_colors([4])[0]).all() and (picture[90, 20] == stable_colors([8])[0]).all()
        assert not self.draw_prediction(image, vis, score_thr=0.5)[50, 20].any()
        vss = DetDataSample()
        vss.pred_sem_seg = PixelData(sem_seg=torch.full((1, 100, 320), 1, dtype=torch.uint8))
        assert (self.draw_prediction(image, vss) == PALETTE[1]).all()

    def test_labels_name_class_and_track(self, monkeypatch):
        texts = []
        monkeypatch.setattr('mmvc.visualization.panel.write_labels',
                            lambda image, segments, labels: texts.append(labels) or image)
        segments = SegmentMap(np.array([[0, 12], [2**20, -1]], np.int32), {0: 0, 12: 1, 2**20: 1, 3: 2},
                              frozenset((12, 2**20)))
        PanelDrawer(CLASSES, PALETTE).draw(np.zeros((2, 2, 3), np.uint8), segments)
        assert texts == [{0: 'road', 12: 'car 12', 2**20: 'car'}]

    def test_errors(self):
        with pytest.raises(ValueError, match='3 colours for 2 classes'):
            PanelDrawer(CLASSES[:2], PALETTE)
        with pytest.raises(ValueError, match='must agree'):
            self.drawer.draw(np.zeros((4, 6, 3), np.uint8), SegmentMap.from_sem_seg(np.zeros((4, 5), np.uint8), 3))


class TestSegmentMap:

    def test_class_map_and_present(self):
        segments_info = [dict(id=3, category_id=1), dict(id=9, category_id=2)]
        segments = SegmentMap.from_panoptic(np.array([[0, 3], [9, 9]]), segments_info, [False, True, False])
        assert segments.present() == [3, 9] and segments.tracks == {3}
        assert segments.class_map(255).tolist() == [[255, 1], [2, 2]]

    def test_masks_without_scores_have_the_smallest_in_front(self):
        masks = np.zeros((2, 3, 4), np.uint8)
        masks[0, 1, 1] = 1
        masks[1] = 1
        segments = SegmentMap.from_masks(masks, [1, 0], [7, 0], frozenset((7, 0)))
        assert segments.ids[1, 1] == 7 and (segments.ids == 0).sum() == 11 and segments.classes == {7: 1, 0: 0}

    def test_entities(self):
        instances = InstanceData(
            labels=torch.tensor([0, 2]), instances_ids=torch.tensor([5, 6]),
            masks=BitmapMasks(np.stack([np.eye(3, dtype=np.uint8), np.zeros((3, 3), np.uint8)]), 3, 3))
        assert SegmentMap.from_entities(instances).tracks == {5, 6}
        segments = SegmentMap.from_entities(instances, [2])
        assert segments.tracks == {6} and segments.present() == [5] and segments.class_map(9)[0].tolist() == [0, 9, 9]


@pytest.fixture(params=['H.264', 'MPEG-4'])
def codec(request, monkeypatch):
    """Run a test with PyAV, where there is one, and as if there were none."""
    if request.param == 'H.264':
        pytest.importorskip('av')
    else:
        monkeypatch.setitem(sys.modules, 'av', None)
    return request.param


@pytest.mark.usefixtures('codec')
class TestVideoWriter:

    def test_frames_can_be_read_back(self, tmp_path, codec):
        with VideoWriter(tmp_path / 'a/b.mp4', fps=5) as writer:
            for value in (0, 120, 240):
                writer.write(np.full((61, 101, 3), value, np.uint8))
            assert not (tmp_path / 'a/b.mp4').exists()
        capture = cv2.VideoCapture(str(tmp_path / 'a/b.mp4'))
        assert capture.get(cv2.CAP_PROP_FPS) == 5
        fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, 'little')
        assert fourcc == (b'h264' if codec == 'H.264' else b'FMP4')
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

    def test_a_folder_that_vanishes(self, tmp_path):
        with pytest.raises(OSError, match='the video ".*b.mp4" cannot be written'):
            with VideoWriter(tmp_path / 'a/b.mp4', fps=5) as writer:
                (tmp_path / 'a').rmdir()
                writer.write(np.zeros((60, 100, 3), np.uint8))

    @pytest.mark.parametrize('fps', [0, -1, 1e9, float('nan')])
    def test_frame_rates_that_cannot_be_written(self, tmp_path, fps):
        with pytest.raises(UsageError, match='fps must lie in'):
            VideoWriter(tmp_path / 'b.mp4', fps)

    @pytest.mark.parametrize('fps', [*FPS_RANGE, 23.976, 143.8561])
    def test_frame_rates_that_can_be_written(self, tmp_path, fps):
        with VideoWriter(tmp_path / 'b.mp4', fps) as writer:
            writer.write(np.zeros((60, 100, 3), np.uint8))
        capture = cv2.VideoCapture(str(tmp_path / 'b.mp4'))
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(fps, abs=0.01)


class TestVisualizer:

    image = np.zeros((100, 320, 3), np.uint8)

    @pytest.fixture
    def visualizer(self, tmp_path):
        visualizer = VideoSegLocalVisualizer(f'test{tmp_path}', vis_backends=[dict(type='LocalVisBackend')],
                                             save_dir=str(tmp_path))
        visualizer.dataset_meta = dict(classes=CLASSES, palette=PALETTE, thing_classes=('car', ))
        return visualizer

    def sample(self):
        return DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.full((1, 100, 320), 1, dtype=torch.uint8)),
                             gt_sem_seg=PixelData(sem_seg=torch.full((1, 100, 320), 2, dtype=torch.uint8)))

    def test_needs_classes(self, visualizer):
        visualizer.dataset_meta = dict(classes=CLASSES)
        with pytest.raises(ValueError, match='dataset_meta'):
            visualizer.add_datasample('a', self.image)

    def test_sample_goes_to_the_backends(self, visualizer, tmp_path):
        visualizer.add_datasample('a', self.image, self.sample(), step=3)
        written = cv2.imread(str(tmp_path / 'vis_data/vis_image/a_3.png'))
        assert written.shape == (24 + 100 + 30, 3 * 320, 3)
        assert (written[40, 480, ::-1] == np.rint(0.6 * np.array(PALETTE[2]))).all()
        assert (written[40, 800, ::-1] == np.rint(0.6 * np.array(PALETTE[1]))).all()

    @pytest.mark.parametrize('options, columns', [(dict(draw_gt=False), 2), (dict(draw_pred=False), 2), (dict(), 3)])
    def test_out_file_and_parts(self, visualizer, tmp_path, options, columns):
        visualizer.add_datasample('a', self.image, self.sample(), out_file=str(tmp_path / 'one.png'), **options)
        assert cv2.imread(str(tmp_path / 'one.png')).shape[1] == columns * 320

    def test_entities_of_a_training_frame(self, visualizer, tmp_path):
        """Only things are tracks; where ids are the classes (VSS), nothing is."""
        masks = np.zeros((2, 100, 320), np.uint8)
        masks[0, :, :160], masks[1, :, 160:] = 1, 1
        for ids, color in (([7, 8], stable_colors([8])[0]), ([0, 1], np.array(PALETTE[1]))):
            sample = DetDataSample(gt_instances=InstanceData(
                labels=torch.tensor([0, 1]), instances_ids=torch.tensor(ids), masks=BitmapMasks(masks, 100, 320)))
            visualizer.add_datasample('a', self.image, sample, out_file=str(tmp_path / 'one.png'))
            picture = cv2.imread(str(tmp_path / 'one.png'))[..., ::-1]
            assert (picture[30, 340] == np.rint(0.6 * np.array(PALETTE[0]))).all()
            assert (picture[30, 600] == np.rint(0.6 * color)).all()

    def test_unsure_instances_are_left_out(self, visualizer, tmp_path):
        tracks = InstanceData(labels=torch.tensor([0]), scores=torch.tensor([0.4]), instances_ids=torch.tensor([3]),
                              masks=torch.ones(1, 100, 320, dtype=torch.bool))
        for threshold, drawn in ((0.3, True), (0.5, False)):
            visualizer.add_datasample('a', self.image, DetDataSample(pred_track_instances=tracks),
                                      pred_score_thr=threshold, out_file=str(tmp_path / 'one.png'))
            assert cv2.imread(str(tmp_path / 'one.png'))[30, 340].any() == drawn
