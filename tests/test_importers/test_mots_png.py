# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.importers.mots_png import MotsPng
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.annotation_exports import ids_of, write_mots_png
from tests.helpers.drawn_videos import write_frames


def test_tracks(tmp_path, tracks):
    root = write_mots_png(tmp_path / 'export/default')
    source = MotsPng.from_path(tmp_path / 'export')
    assert MotsPng.matches(root) and MotsPng.matches(tmp_path / 'export') and not MotsPng.matches(root / 'images')
    [video] = source.videos()
    assert video.name == 'default' and [frame.labelled for frame in video.frames] == [True, True, False, True]
    import_videos(source, tmp_path / 'out', 'instances')
    found = tracks(tmp_path / 'out/train.json')['default']
    assert [name for name, _ in found] == ['cat', 'dog', 'dog']
    for number, (_, masks) in zip((1007, 2007, 2999), found):
        for index in range(4):
            assert (masks[index] == (ids_of(index) == number if index != 2 else False)).all()


def test_background_and_unlabelled_pixels(tmp_path):
    source = MotsPng.from_path(write_mots_png(tmp_path / 'export'))
    summary = import_videos(source, tmp_path / 'out')
    assert summary.classes == ('cat', 'dog', 'background')
    labels = cv2.imread(str(tmp_path / 'out/labels/export/000001.png'), cv2.IMREAD_UNCHANGED)
    of_class = {0: 2, 1: 0, 2: 1, 10: 255}
    assert (labels == np.vectorize(of_class.get)(ids_of(1) // 1000)).all()


def test_videos_of_the_benchmark(tmp_path):
    root = write_mots_png(tmp_path / 'train', '0002', labels='')
    write_frames(root / 'images/0010', ['000000'])
    (root / 'instances/0010').mkdir()
    Image.fromarray(ids_of(0)).save(root / 'instances/0010/000000.png')
    source = MotsPng.from_path(root)
    assert [video.name for video in source.videos()] == ['0002', '0010']
    assert [each.name for each in source.categories] == ['car', 'pedestrian']
    assert [len(list(source.regions(video))) for video in source.videos()] == [3, 1]


def test_subsets(tmp_path):
    for name in ('train', 'val'):
        write_mots_png(tmp_path / name)
    assert [video.name for video in MotsPng.from_path(tmp_path).videos()] == ['train', 'val']
    with pytest.raises(UsageError, match='several folders'):
        MotsPng.from_path(tmp_path, tmp_path / 'train/images')
    (tmp_path / 'val/instances/labels.txt').write_text('dog\ncat\n')
    with pytest.raises(DataError, match='labels.txt in .* differ'):
        MotsPng.from_path(tmp_path)


def test_damage(tmp_path):
    root = write_mots_png(tmp_path / 'export', labels='cat\n')
    with pytest.raises(DataError, match=r'object id 2007, of class 2: the classes are 1 to 1 \(cat\)'):
        import_videos(MotsPng.from_path(root), tmp_path / 'out')
    (root / 'images/000001.png').unlink()
    with pytest.raises(DataError, match='1 masks of .* have no image in .*000001'):
        MotsPng.from_path(root)
    with pytest.raises(DataError, match='has no folder "instances"'):
        MotsPng.from_path(tmp_path / 'out')
    with pytest.raises(UsageError, match='is a file'):
        MotsPng.from_path(root, root / 'instances/labels.txt')
