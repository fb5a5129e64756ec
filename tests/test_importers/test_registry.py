# Copyright (c) The mmvc contributors. All rights reserved.
"""The command finds out the format of an export, and gives its reader the options of this format."""

import json

import cv2
import numpy as np
import pytest

from mmvc.commands.import_annotations import main
from mmvc.importers.registry import READERS, find_reader
from tests.helpers.brush_encoder import encode_brush
from tests.helpers.drawn_videos import SIZE, box, write_frames, write_video
from tests.helpers.panoptic_pngs import SEGMENTS, ids_of, write_png

MASK = box(4, 2, 6, 8)


def write_id_masks(folder, value=1):
    write_frames(folder / 'JPEGImages/a', ['0', '1'])
    (folder / 'Annotations/a').mkdir(parents=True)
    cv2.imwrite(str(folder / 'Annotations/a/0.png'), MASK * np.uint8(value))
    return folder


def write_coco_panoptic(folder):
    write_frames(folder / 'a', ['0', '1'])
    write_png(folder / 'panoptic/0.png', ids_of(0))
    segments = [dict(id=segment, category_id=category) for segment, category in SEGMENTS.items()]
    path = folder / 'panoptic.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a/0.jpg'), dict(id=2, file_name='a/1.jpg')],
        annotations=[dict(image_id=1, file_name='0.png', segments_info=segments)],
        categories=[dict(id=7, name='road', isthing=0), dict(id=90, name='car', isthing=1)])))
    return path


def write_labelme(folder):
    write_frames(folder, ['0', '1'])
    shape = dict(label='car', points=[[2, 4], [10, 10]], shape_type='rectangle', group_id=1)
    (folder / '0.json').write_text(json.dumps(dict(shapes=[shape], imagePath='0.jpg')))
    return folder


def write_label_studio(folder):
    write_frames(folder, ['0', '1'])
    value = dict(format='rle', rle=encode_brush(MASK), brushlabels=['car'])
    result = dict(type='brushlabels', value=value, original_width=SIZE[1], original_height=SIZE[0])
    path = folder / 'project-1-at-2026.json'
    path.write_text(json.dumps([dict(id=1, data=dict(image='0.jpg'), annotations=[dict(result=[result])])]))
    return path


def write_yolo(folder):
    write_frames(folder / 'images/train', ['0', '1'])
    (folder / 'labels/train').mkdir(parents=True)
    (folder / 'labels/train/0.txt').write_text('0 0.0625 0.25 0.3125 0.25 0.3125 0.5\n')
    (folder / 'data.yaml').write_text('train: images/train\nnames: [car]\n')
    return folder


WRITERS = {'id-masks': write_id_masks, 'coco-panoptic': write_coco_panoptic, 'labelme': write_labelme,
           'label-studio': write_label_studio, 'yolo-seg': write_yolo}


@pytest.mark.parametrize('name', list(WRITERS))
def test_each_format_is_recognised_and_imported(tmp_path, name, problems):
    path = WRITERS[name](tmp_path / 'export')
    assert [key for key, reader in READERS.items() if reader.matches(path)] == [name]
    assert find_reader(path).NAME == name
    main([str(path), str(tmp_path / 'out')])
    assert not problems(tmp_path / 'out/config.py')
    assert len(list(tmp_path.glob('out/labels/**/0.png'))) == 1
    assert len(list(tmp_path.glob('out/frames/**/*.jpg'))) == 2


@pytest.mark.parametrize('name', ['coco-panoptic', 'label-studio'])
def test_the_folder_of_a_json(tmp_path, name):
    path = WRITERS[name](tmp_path / 'export')
    assert find_reader(path.parent).NAME == name
    main([str(path.parent), str(tmp_path / 'out')])
    assert len(list(tmp_path.glob('out/labels/**/0.png'))) == 1
    (path.parent / 'second.json').write_text('{}')
    with pytest.raises(SystemExit, match='not exactly one JSON file'):
        main([str(path.parent), str(tmp_path / 'out'), '--format', name])


def test_options_reach_the_reader(tmp_path):
    path = write_id_masks(tmp_path / 'davis', value=255)
    with pytest.raises(SystemExit, match='--binary'):
        main([str(path), str(tmp_path / 'out')])
    names = tmp_path / 'names.json'
    names.write_text('{"a": {"1": "dog"}}')
    main([str(path), str(tmp_path / 'out2'), '--binary', '--categories', str(names)])
    labels = cv2.imread(str(tmp_path / 'out2/labels/a/0.png'), cv2.IMREAD_UNCHANGED)
    assert (labels == np.where(MASK, 0, 1)).all()  # "dog" and the background


def test_numbers_are_read(tmp_path):
    write_video(tmp_path / 'clip.mp4', 3)
    (tmp_path / 'masks').mkdir()
    cv2.imwrite(str(tmp_path / 'masks/3.png'), MASK * np.uint8(1))
    main([str(tmp_path / 'masks'), str(tmp_path / 'out'), '--images', str(tmp_path / 'clip.mp4'), '--first-frame', '1',
          '--format', 'video-and-masks'])
    assert [path.name for path in (tmp_path / 'out/labels/clip').iterdir()] == ['00000002.png']


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--binary'], 'an option of the format id-masks, .* is yolo-seg'),
    (['--format', 'coco-panoptic', '--first-frame', '1'], 'an option of the format video-and-masks'),
])
def test_options_of_other_formats_are_refused(tmp_path, arguments, message):
    path = write_yolo(tmp_path / 'yolo')
    with pytest.raises(SystemExit, match=message):
        main([str(path), str(tmp_path / 'out'), *arguments])
