# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.importers.cvat_masks import CvatMasks
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.annotation_exports import COLORS, LABELMAP, lines_of, write_cvat_masks, write_mask
from tests.helpers.drawn_videos import SIZE


@pytest.mark.parametrize('grey', [False, True])
def test_masks(tmp_path, grey):
    root = write_cvat_masks(tmp_path / 'street', grey=grey)
    source = CvatMasks.from_path(root)
    assert CvatMasks.matches(root) and not CvatMasks.matches(tmp_path)
    [video] = source.videos()
    assert video.name == 'street' and [frame.labelled for frame in video.frames] == [True, False, True, False]
    assert {each.name: each.color for each in source.categories} == {name: COLORS[name] for name in ('car', 'tree')}
    summary = import_videos(source, tmp_path / 'out')
    assert summary.classes == ('car', 'tree', 'background')
    for index in (0, 2):
        labels = cv2.imread(str(tmp_path / f'out/labels/street/frame_{index:06d}.png'), cv2.IMREAD_UNCHANGED)
        assert (labels == np.array([2, 0, 1])[lines_of(index)]).all()


def test_palette_images(tmp_path):
    root = write_cvat_masks(tmp_path / 'street')
    image = Image.fromarray(lines_of(2))
    image.putpalette([channel for color in COLORS.values() for channel in color])
    image.save(root / 'SegmentationClass/frame_000002.png')
    source = CvatMasks.from_path(root)
    regions = list(source.regions(source.videos()[0]))[1]
    assert sorted((region.category, int(region.mask.sum())) for region in regions) == [
        (index, int((lines_of(2) == index + 1).sum())) for index in (0, 1)]


def test_subfolders_are_videos(tmp_path):
    root = write_cvat_masks(tmp_path / 'export', 'left')
    write_cvat_masks(root, 'right', labelled=(3, ))
    source = CvatMasks.from_path(root)
    assert [video.name for video in source.videos()] == ['left', 'right']
    assert not source.has_tracks
    with pytest.raises(UsageError, match='needs track ids'):
        import_videos(source, tmp_path / 'out', 'instances')


def test_unlabelled_pixels_of_pascal_voc(tmp_path):
    root = write_cvat_masks(tmp_path / 'street')
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[:4] = (224, 224, 192)
    Image.fromarray(mask).save(root / 'SegmentationClass/frame_000000.png')
    import_videos(CvatMasks.from_path(root), tmp_path / 'out')
    labels = cv2.imread(str(tmp_path / 'out/labels/street/frame_000000.png'), cv2.IMREAD_UNCHANGED)
    assert (labels[:4] == 255).all() and (labels[4:] == 2).all()


def test_background_of_another_colour(tmp_path):
    root = write_cvat_masks(tmp_path / 'street')
    (root / 'labelmap.txt').write_text(LABELMAP.replace('background', 'ground').replace('tree', 'Background'))
    source = CvatMasks.from_path(root)
    assert [each.name for each in source.categories] == ['ground', 'car']


def test_images_elsewhere(tmp_path):
    root = write_cvat_masks(tmp_path / 'street')
    (root / 'JPEGImages').rename(tmp_path / 'frames')
    with pytest.raises(DataError, match='no folder "JPEGImages" or "images"'):
        CvatMasks.from_path(root)
    assert len(CvatMasks.from_path(root, tmp_path / 'frames').videos()[0].frames) == 4
    with pytest.raises(UsageError, match='is a file'):
        CvatMasks.from_path(root, root / 'labelmap.txt')
    (tmp_path / 'frames/frame_000002.jpg').unlink()
    with pytest.raises(DataError, match='1 masks in .* have no image .*frame_000002'):
        CvatMasks.from_path(root, tmp_path / 'frames')


@pytest.mark.parametrize('text, message', [
    ('car:1,2::', 'line 1: .*is not "name:R,G,B::"'), ('car:1,2,256::', 'is not'), ('car', 'is not'),
    ('car:1,2,3::\ncar:1,2,4::', 'line 2: .*twice'), ('car:1,2,3::\ntree:1,2,3::', 'twice'),
    ('background:0,0,0::\ncar:1,2,3::', r'the colour \(51, 221, 255\)')])
def test_damaged_labels(tmp_path, text, message):
    root = write_cvat_masks(tmp_path / 'street')
    (root / 'labelmap.txt').write_text(text)
    with pytest.raises(DataError, match=message):
        import_videos(CvatMasks.from_path(root), tmp_path / 'out')


@pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n'])
def test_damaged_masks(tmp_path, content):
    root = write_cvat_masks(tmp_path / 'street')
    (root / 'SegmentationClass/frame_000002.png').write_bytes(content)
    with pytest.raises(DataError, match='frame_000002.png" cannot be decoded'):
        import_videos(CvatMasks.from_path(root), tmp_path / 'out')
    (root / 'labelmap.txt').write_bytes(b'\xff\xfe')
    with pytest.raises(DataError, match='labelmap.txt" cannot be read'):
        CvatMasks.from_path(root)


def test_grey_values_without_a_label(tmp_path):
    root = write_cvat_masks(tmp_path / 'street', grey=True)
    write_mask(root / 'SegmentationClass/frame_000002.png', lines_of(2) + 7, grey=True)
    with pytest.raises(DataError, match='has the value 9, but .* has only 3 labels'):
        import_videos(CvatMasks.from_path(root), tmp_path / 'out')


def test_black_is_background_beside_a_background_of_another_colour(tmp_path):
    root = write_cvat_masks(tmp_path / 'street')
    (root / 'labelmap.txt').write_text(LABELMAP.replace('background:0,0,0', 'background:0,128,0'))
    source = CvatMasks.from_path(root)
    assert [category.name for category in source.categories] == ['car', 'tree']
    assert [len(regions) for regions in source.regions(source.videos()[0])] == [2, 2]
