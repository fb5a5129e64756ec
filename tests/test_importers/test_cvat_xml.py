# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest

from mmvc.importers.cvat_xml import CvatXml
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.annotation_exports import BLOB, cvat_body, cvat_truth, rectangle, rle_of, shape, write_cvat_xml
from tests.helpers.drawn_videos import SIZE, box, write_frames, write_video


@pytest.fixture
def export(tmp_path):
    """An export of "CVAT for video" with its frames."""
    write_frames(tmp_path / 'export/images', [f'frame_{index:06d}' for index in range(5)])
    write_cvat_xml(tmp_path / 'export/annotations.xml', cvat_body())
    return tmp_path / 'export'


def test_video(export, tmp_path, load):
    source = CvatXml.from_path(export)
    assert CvatXml.matches(export) and CvatXml.matches(export / 'annotations.xml')
    [video] = source.videos()
    assert video.name == 'my_street' and video.size == SIZE
    assert [frame.labelled for frame in video.frames] == [True, True, True, False, True]
    assert [(each.name, each.color) for each in source.categories] == [('car', (255, 0, 128)), ('tree', (0, 255, 0))]
    assert '2 of 7 shapes are boxes' in source.notes[0]
    import_videos(source, tmp_path / 'out', inputs=[export])
    for index in (0, 1, 2, 4):
        labels = cv2.imread(str(tmp_path / f'out/labels/my_street/frame_{index:06d}.png'), cv2.IMREAD_UNCHANGED)
        assert (labels == cvat_truth(index)).all()
    assert not (tmp_path / 'out/labels/my_street/frame_000003.png').exists()


def test_tracks(export, tmp_path, tracks):
    import_videos(CvatXml.from_path(export), tmp_path / 'out', 'instances')
    found = tracks(tmp_path / 'out/train.json')['my_street']
    assert sorted(name for name, _ in found) == ['car', 'tree', 'tree']
    masks = {(name, int(np.flatnonzero(mask.any((1, 2)))[0])): mask for name, mask in found}
    for index in range(5):
        car = box(10, 2 + index, 6, 8) if index != 3 else np.zeros(SIZE, bool)
        assert (masks['car', 0][index] == car).all()
        assert (masks['tree', 0][index] == (box(12, 8, 8, 12) & (index < 2))).all()
        assert (masks['tree', 2][index] == (BLOB & (index == 2))).all()


@pytest.mark.parametrize('step', [1, 2])
def test_video_file(tmp_path, step):
    write_video(tmp_path / 'street.mp4', 10)
    frames = range(1, 1 + 5 * step, step)
    path = write_cvat_xml(tmp_path / 'street.xml', cvat_body(frames), start=1, stop=1 + 4 * step,
                     step=f'step={step}' if step > 1 else '')
    source = CvatXml.from_path(path, tmp_path / 'street.mp4')
    [video] = source.videos()
    assert [frame.index for frame in video.frames] == list(frames)
    assert [frame.labelled for frame in video.frames] == [True, True, True, False, True]
    import_videos(source, tmp_path / 'out')
    masks = sorted((tmp_path / 'out/labels/my_street').iterdir())
    assert [int(mask.stem) for mask in masks] == [frames[place] for place in (0, 1, 2, 4)]
    for place, mask in zip((0, 1, 2, 4), masks):
        assert (cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) == cvat_truth(place)).all()
    assert len(list((tmp_path / 'out/frames/my_street').glob('*.jpg'))) == 5


def test_frames_with_names_of_their_own(tmp_path):
    write_frames(tmp_path / 'clip', ['a2', 'a10', 'a11', 'a12', 'a13'])
    path = write_cvat_xml(tmp_path / 'street.xml', cvat_body())
    [video] = CvatXml.from_path(path, tmp_path / 'clip').videos()
    assert [frame.name for frame in video.frames if not frame.labelled] == ['a12']


def test_masks_of_single_frames_have_no_tracks(tmp_path):
    write_frames(tmp_path / 'images', [f'frame_{index:06d}' for index in range(3)])
    body = ''.join(f'<track id="{index}" label="car">'
                   f'{shape("mask", frame=index, keyframe=1, outside=0, z_order=0, **rle_of(BLOB))}</track>'
                   for index in range(3))
    source = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml', body))
    assert not source.has_tracks
    with pytest.raises(UsageError, match='needs track ids'):
        import_videos(source, tmp_path / 'out', 'instances')
    grouped = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml',
                                          body.replace('label="car"', 'label="car" group_id="5"')))
    assert grouped.has_tracks
    assert import_videos(grouped, tmp_path / 'out', 'instances').by_class('objects') == dict(car=1)


def test_images(tmp_path):
    write_frames(tmp_path / 'images/left', ['2', '10'])
    write_frames(tmp_path / 'images/right', ['2'])
    size = 'width="32" height="24"'
    body = f'<image id="0" name="left/10.jpg" {size}></image>' \
           f'<image id="1" name="left/2.jpg" {size}>{shape("polygon", label="car", points=rectangle(1, 2, 3, 4))}' \
           f'{shape("polyline", label="car", points="1,2;3,4")}</image>' \
           f'<image id="2" name="right/2.jpg" {size}>' \
           f'{shape("ellipse", label="tree", cx=16, cy=12, rx=8, ry=4)}</image>'
    source = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml', body, 'annotation'))
    left, right = source.videos()
    assert (left.name, right.name) == ('left', 'right') and not source.has_tracks
    assert [(frame.name, frame.labelled) for frame in left.frames] == [('2', True), ('10', False)]
    [[region]] = source.regions(left)
    assert (region.mask == box(1, 2, 3, 4)).all() and region.category == 0
    [[region]] = source.regions(right)
    assert abs(region.mask.sum() - np.pi * 8 * 4) < 4 and region.mask[12, 8] and not region.mask[12, 7]
    assert '1 lines, points, cuboids and skeletons were left out' in source.notes[0]


def test_tracks_of_images(tmp_path):
    write_frames(tmp_path / 'images', ['0', '1'])
    polygon = shape('polygon', label='car', points=rectangle(1, 2, 3, 4))
    polygon = polygon.replace('name="kind">a', 'name="track_id">17')
    body = ''.join(f'<image id="{index}" name="{index}.jpg" width="32" height="24">{polygon}</image>'
                   for index in range(2))
    source = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml', body, 'annotation'))
    assert source.has_tracks
    [video] = source.videos()
    assert video.name == 'my_street'
    assert [region.track for regions in source.regions(video) for region in regions] == ['track 17'] * 2


def test_images_of_a_video_task(tmp_path):
    """CVAT names its frames without a suffix; they may be in files with any, or in the video file."""
    polygon = shape('polygon', label='car', points=rectangle(1, 2, 3, 4))
    body = ''.join(f'<image id="{index}" name="frame_{index:06d}" width="32" height="24">'
                   f'{polygon * (index != 4)}</image>' for index in (0, 2, 4))
    path = write_cvat_xml(tmp_path / 'annotations.xml', body, 'annotation')
    write_frames(tmp_path / 'images', [f'frame_{index:06d}' for index in range(6)], '.PNG')
    write_video(tmp_path / 'clip.mp4', 6)
    for images in (None, tmp_path / 'clip.mp4'):
        source = CvatXml.from_path(path, images)
        [video] = source.videos()
        assert [frame.labelled for frame in video.frames] == [True, True, False]
        assert [frame.index for frame in video.frames] == ([0, 1, 2] if images is None else [0, 2, 4])
        assert all((region.mask == box(1, 2, 3, 4)).all() for regions in source.regions(video) for region in regions)
    path.write_text(path.read_text().replace('name="frame_000002"', 'name="two"'))
    with pytest.raises(DataError, match='line .*the image "two" is no frame of'):
        CvatXml.from_path(path, tmp_path / 'clip.mp4')


def test_rotation(tmp_path):
    write_frames(tmp_path / 'images', ['0'])
    values = dict(label='car', xtl=10, ytl=10, xbr=20, ybr=14)
    body = f'<image id="0" name="0.jpg" width="32" height="24">{shape("box", **values, rotation=90)}' \
           f'{shape("box", **values, rotation=30)}' \
           f'{shape("ellipse", label="car", cx=15, cy=12, rx=5, ry=2, rotation=30)}</image>'
    source = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml', body, 'annotation'))
    [upright, tilted, ellipse] = next(source.regions(source.videos()[0]))
    assert (upright.mask == box(7, 13, 10, 4)).all()
    assert tilted.mask[14, 18] and not tilted.mask[9, 18]  # clockwise: the right end is lower
    assert ellipse.mask[13, 18] and not ellipse.mask[10, 18]


BAD = [
    ('<annotations>', '<!DOCTYPE a [<!ENTITY b "c">]>\n<annotations>', 'line 2.*document type'),
    ('<annotations>', '<annotation>', 'line 2.*not of CVAT'),
    ('</track>', '', 'not valid XML'),
    ('encoding="utf-8"', 'encoding="klingon"', 'not valid XML .unknown encoding'),
    ('</track>', '<a>' * 60 + '</a>' * 60 + '</track>', 'more than 50 elements within each other'),
    ('frame="0"', 'frame="-1"', 'frame "-1"'),
    ('frame="0"', '', 'has no "frame"'),
    ('frame="4"', 'frame="9"', 'frame 9 has labels, but'),
    ('label="tree"', 'label="bush"', '"bush" is not among the labels'),
    ('label="tree"', '', 'has no "label"'),
    ('points="', 'points="nan,0;', 'NaN or infinite'),
    ('points="', 'points="1;', 'points'),
    ('points="', 'points="100000,0;', 'leaves its frame'),
    ('xtl="8.00"', 'xtl="a"', '"xtl" is "a", not a number'),
    ('z_order="1"', 'z_order="up"', 'z_order is "up"'),
    ('left="5"', 'left="28"', 'leaves the frame'),
    ('left="5"', 'left="-5"', 'not a whole number'),
    ('rle="', 'rle="1,', 'do not add up'),
    ('rle="', 'rle="99999999999999999999,', 'not a list of whole numbers'),
    ('<width>32', '<width>64', 'has the size'),
    ('<width>32', '<width>wide', 'not a whole number'),
    ('<start_frame>0', '<start_frame>zero', 'start_frame is "zero"'),
]


@pytest.mark.parametrize('old, new, message', BAD)
def test_damage(export, tmp_path, old, new, message):
    path = export / 'annotations.xml'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        import_videos(CvatXml.from_path(export), tmp_path / 'out')
    assert '\n' not in str(caught.value)


def test_missing_frames(export, tmp_path):
    for path in (export / 'images').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='no images: give the folder of the frames'):
        CvatXml.from_path(export)
    body = '<image id="0" name="../0.jpg" width="32" height="24"></image>'
    write_frames(tmp_path / 'x', ['0'])
    with pytest.raises(DataError, match='annotations.xml", line'):
        CvatXml.from_path(write_cvat_xml(tmp_path / 'x/y/annotations.xml', body, 'annotation'))


def test_images_beside_a_folder_with_the_name_of_the_task(tmp_path):
    body = ''.join(f'<image id="{index}" name="{name}" width="32" height="24">'
                   '<polygon label="car" points="2,2;10,2;10,10" z_order="0"></polygon></image>'
                   for index, name in enumerate(['0.jpg', 'my_street/1.jpg']))
    write_frames(tmp_path / 'images', ['0'])
    write_frames(tmp_path / 'images/my_street', ['1'])
    source = CvatXml.from_path(write_cvat_xml(tmp_path / 'annotations.xml', body, 'annotation'))
    with pytest.raises(DataError, match='two videos are called "my_street"'):
        import_videos(source, tmp_path / 'out')
