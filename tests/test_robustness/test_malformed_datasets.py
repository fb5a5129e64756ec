# Copyright (c) The mmvc contributors. All rights reserved.
"""Every file of a dataset damaged in every way we could think of: the error names the file and the key."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny_datasets import CUP, HEIGHT, WIDTH, WRITERS, build, load_all

GREY = np.full((HEIGHT, WIDTH), 1, np.uint8)


def rewrite(change):
    """Damage of the annotation file: change its content."""
    def damage(root):
        path = root / 'train.json'
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return damage


def write(name, content):
    """Damage of a file: other bytes."""
    return lambda root: (root / name).write_bytes(content)


def cut(name, keep=0.6):
    def damage(root):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[:int(len(content) * keep)])
    return damage


def flip(name, place):
    """Another value of one byte, counted from the end."""
    def damage(root):
        content = bytearray((root / name).read_bytes())
        content[-place] ^= 0x55
        (root / name).write_bytes(bytes(content))
    return damage


def image(name, pixels, mode=None):
    def damage(root):
        Image.fromarray(pixels).convert(mode).save(root / name) if mode else cv2.imwrite(str(root / name), pixels)
    return damage


def remove(name):
    return lambda root: shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def empty(name):
    return lambda root: [path.unlink() for path in (root / name).iterdir()]


def segment(**changes):
    return rewrite(lambda c: c['annotations'][1]['annotations'][0]['segments_info'][1].update(changes))


def track(**changes):
    return rewrite(lambda c: c['annotations'][0].update(changes))


def mask(value):
    return rewrite(lambda c: c['annotations'][0]['segmentations'].__setitem__(1, value))


def polygon(value):
    return rewrite(lambda c: c['annotations'][0].update(segmentation=value))


SIZE = [HEIGHT, WIDTH]
MASK, FRAME = 'data/right/mask/1.png', 'data/right/origin/1.jpg'
PANOPTIC = 'panomasksRGB/right/1.png'
CASES = {
    # format-what: damage, what the error must name
    'vspw-no list': (remove('train.txt'), 'train.txt'),
    'vspw-list is a folder': (lambda root: (remove('train.txt')(root), (root / 'train.txt').mkdir()), 'train.txt'),
    'vspw-empty list': (write('train.txt', b'\n \n'), 'train.txt" is empty'),
    'vspw-binary list': (write('train.txt', b'\x89PNG\xff\xfe'), 'train.txt" is not text in UTF-8'),
    'vspw-video twice': (write('train.txt', b'left\nleft\n'), 'twice: left'),
    'vspw-unknown video': (write('train.txt', b'left\nnowhere\n'), '"nowhere"'),
    'vspw-name with a zero byte': (write('train.txt', b'left\nri\0ght\n'), 'train.txt'),
    'vspw-no frames': (empty('data/right/origin'), '"right" has no "*.jpg"'),
    'vspw-no masks': (remove('data/right/mask'), 'data/right/mask/0.png'),
    'vspw-frame vanished': (lambda root: None, FRAME),  # see below: removed after the list was read
    'vspw-frame empty': (write(FRAME, b''), f'{FRAME}" (the file is empty'),
    'vspw-frame of text': (write(FRAME, b'<html>404</html>'), FRAME),
    'vspw-frame cut off': (cut(FRAME), f'{FRAME}" (the JPEG is cut off'),
    'vspw-frame of another size': (image(FRAME, np.zeros((6, 6, 3), np.uint8)), f'{MASK}" (height, width'),
    'vspw-mask empty': (write(MASK, b''), MASK),
    'vspw-mask of text': (write(MASK, b'no image'), MASK),
    'vspw-mask cut off': (cut(MASK), f'{MASK}" cannot be decoded (the PNG is cut off'),
    'vspw-mask with a flipped byte': (flip(MASK, 20), f'{MASK}" cannot be decoded (a checksum'),
    'vspw-mask of another size': (image(MASK, GREY[:6]), f'{MASK}" (height, width'),
    'vspw-mask in colour': (image(MASK, np.ones((HEIGHT, WIDTH, 3), np.uint8)), f'{MASK}" is a colour image'),
    'vspw-mask with an unknown id': (image(MASK, GREY * 77), f'{MASK}" holds [77]'),
    'vspw-mask of 16 bits': (image(MASK, GREY.astype(np.uint16) * 300), f'{MASK}" holds the value 300'),
    'vspw-mask of 1 bit': (image(MASK, GREY * 255, '1'), f'{MASK}" holds bool numbers'),
    'camvid-unknown id': (image('Annotations/left/0.png', GREY * 12), 'Annotations/left/0.png" holds [12]'),
    'camvid-mask missing': (remove('Annotations/left/0.png'), 'Annotations/left/0.png'),
    'vipseg-no json': (remove('train.json'), 'train.json'),
    'vipseg-empty json': (write('train.json', b''), 'train.json" is not valid JSON'),
    'vipseg-json cut off': (cut('train.json'), 'train.json" is not valid JSON'),
    'vipseg-json of other bytes': (write('train.json', b'\xff\xfe\x00'), 'train.json" is not valid JSON'),
    'vipseg-json too deep': (write('train.json', b'[' * 100000), 'train.json" is not valid JSON'),
    'vipseg-a list': (write('train.json', b'[{}]'), 'train.json" is [{}], not an object'),
    'vipseg-no videos': (rewrite(lambda c: c.update(videos=[])), 'train.json" has no videos'),
    'vipseg-videos is null': (rewrite(lambda c: c.update(videos=None)), 'videos is null, not a list'),
    'vipseg-no category name': (rewrite(lambda c: c['categories'][1].pop('name')), 'categories[1] has no name'),
    'vipseg-category id is text': (rewrite(lambda c: c['categories'][1].update(id='1')), "categories[1].id is '1'"),
    'vipseg-other class': (rewrite(lambda c: c['categories'][1].update(name='mug')), "category 1 of"),
    'vipseg-category twice': (rewrite(lambda c: c['categories'].append(c['categories'][1])), 'category id 1 twice'),
    'vipseg-video twice': (rewrite(lambda c: c['videos'].append(c['videos'][0])), "video 'left' twice"),
    'vipseg-annotated twice': (rewrite(lambda c: c['annotations'].append(c['annotations'][0])), "'left' twice"),
    'vipseg-empty video': (rewrite(lambda c: c['videos'][1].update(images=[])), '"right" of'),
    'vipseg-no folder': (remove('images/right'), 'images/right'),
    'vipseg-no file name': (rewrite(lambda c: c['videos'][1]['images'][0].pop('file_name')),
                            'videos[1].images[0] has no file_name'),
    'vipseg-frame not annotated': (rewrite(lambda c: c['annotations'][1]['annotations'].pop()), '"1.png" of video'),
    'vipseg-unknown category': (segment(category_id=9), 'the category 9'),
    'vipseg-negative category': (segment(category_id=-1), 'the category -1'),
    'vipseg-segment id is text': (segment(id='cup'), "segments_info[1].id is 'cup'"),
    'vipseg-segment id is huge': (segment(id=10**30), 'segments_info[1].id is 1000000000'),
    'vipseg-segment twice': (segment(id=7), 'right/0.png"'),
    'vipseg-segment not listed': (segment(id=4), f'holds the segment ids [{CUP}]'),
    'vipseg-mask missing': (remove(PANOPTIC), PANOPTIC),
    'vipseg-mask cut off': (cut(PANOPTIC), PANOPTIC),
    'vipseg-mask with alpha': (image(PANOPTIC, np.ones((HEIGHT, WIDTH, 4), np.uint8)), PANOPTIC),
    'vipseg-mask of another size': (image(PANOPTIC, np.ones((5, 5, 3), np.uint8)), PANOPTIC),
    'vis-no categories': (rewrite(lambda c: c.pop('categories')), 'train.json" has no categories'),
    'vis-no annotations': (rewrite(lambda c: c.update(annotations=None)), 'train.json" has no annotations'),
    'vis-other categories': (rewrite(lambda c: c['categories'].pop()), "['cup']"),
    'vis-video id missing': (rewrite(lambda c: c['videos'][1].pop('id')), 'videos[1] has no id'),
    'vis-video id twice': (rewrite(lambda c: c['videos'][1].update(id=1)), 'video id 1 twice'),
    'vis-file names is text': (rewrite(lambda c: c['videos'][1].update(file_names='0.jpg')), 'videos[1].file_names'),
    'vis-file name is a number': (rewrite(lambda c: c['videos'][1].update(file_names=[1, 2])), 'file_names[0] is 1'),
    'vis-empty video': (rewrite(lambda c: c['videos'][1].update(file_names=[])), 'video 2 has no frames'),
    'vis-annotation of nothing': (rewrite(lambda c: c['annotations'].append('x')), "annotations[3] is 'x'"),
    'vis-annotation id twice': (track(id=12), 'annotation id 12 twice'),
    'vis-annotation id is a float': (track(id=1.5), 'annotations[0].id is 1.5'),
    'vis-unknown video': (track(video_id=9), 'annotation 10 of'),
    'vis-unknown category': (track(category_id=9), 'annotation 10 of'),
    'vis-too few masks': (track(segmentations=[None]), 'annotation 10 of'),
    'vis-mask is text': (mask('xyz'), "segmentations[1] is 'xyz'"),
    'vis-mask of another size': (mask(dict(size=[5, 5], counts='0')), 'instance 10 of frame'),
    'vis-mask without counts': (mask(dict(size=SIZE)), 'instance 10 of frame'),
    'vis-counts cut off': (mask(dict(size=SIZE, counts='P3')), 'left/1.jpg'),
    'vis-counts of other letters': (mask(dict(size=SIZE, counts='\u00e9\u4e2d ~')), 'left/1.jpg'),
    'vis-counts never end': (mask(dict(size=SIZE, counts='o' * 50 + '0')), 'left/1.jpg'),
    'vis-counts are negative': (mask(dict(size=SIZE, counts=[-5, 197])), 'left/1.jpg'),
    'vis-counts are text': (mask(dict(size=SIZE, counts=['5', '187'])), 'left/1.jpg'),
    'vis-counts add up to less': (mask(dict(size=SIZE, counts=[5, 6])), 'add up to 11 pixels instead of 192'),
    'vis-no folder': (remove('JPEGImages/right'), 'JPEGImages/right'),
    'vis-frame missing': (remove('JPEGImages/right/1.jpg'), 'right/1.jpg'),
    'coco-image unknown': (track(image_id=9), 'annotation 5 has the image_id 9'),
    'coco-category unknown': (track(category_id=999), 'annotation 5 has the category_id 999'),
    'coco-image twice': (rewrite(lambda c: c['images'][1].update(id=1)), 'image id 1 twice'),
    'coco-annotation twice': (track(id=6), 'annotation id 6 twice'),
    'coco-no segmentation': (rewrite(lambda c: c['annotations'][0].pop('segmentation')), 'has no segmentation'),
    'coco-odd polygon': (polygon([[1, 2, 3, 4, 5, 6, 7]]), 'instance 5 of frame'),
    'coco-polygon of text': (polygon([['a', 'b', 'c', 'd', 'e', 'f']]), 'instance 5 of frame'),
    'coco-polygon far away': (polygon([[1, 2, 1e9, 4, 5, 6]]), 'instance 5 of frame'),
    'coco-polygon is not a number': (polygon([[1, 2, float('nan'), 4, 5, 6]]), 'instance 5 of frame'),
    'coco-polygon of polygons': (polygon([[[1, 2], [3, 4], [5, 6]]]), 'instance 5 of frame'),
    'coco-no objects': (rewrite(lambda c: c.update(annotations=[])), 'train.json'),
    'coco-class missing': (rewrite(lambda c: c['categories'][0].update(name='x')), "['person'] are missing"),
    'coco-no image': (remove('train2017/2.jpg'), 'train2017/2.jpg'),
}


@pytest.mark.parametrize('kind', WRITERS)
def test_undamaged_datasets_load(tmp_path, kind):
    WRITERS[kind](tmp_path)
    samples = load_all(kind, tmp_path)
    assert len(samples) == 2
    for sample in samples:
        for frame in sample['data_samples']:
            assert 1 <= len(frame.gt_instances.labels) <= 2


@pytest.mark.parametrize('case', CASES)
def test_damage_is_named(tmp_path, case):
    damage, culprit = CASES[case]
    kind = case.split('-')[0]
    WRITERS[kind](tmp_path)
    damage(tmp_path)
    if case == 'vspw-frame vanished':
        dataset = build(kind, tmp_path)
        (tmp_path / FRAME).unlink()
        with pytest.raises((OSError, ValueError), match=re.escape(culprit)):
            dataset[1]
        return
    with pytest.raises((OSError, ValueError)) as caught:
        load_all(kind, tmp_path)
    message = str(caught.value)
    assert culprit in message and '\n' not in message
    assert len(message) < 1000


def test_annotations_are_checked_where_masks_are_scored_too(tmp_path):
    """The check of a dataset finds what loading stumbles over."""
    from mmvc.datasets.checks import check_vis
    WRITERS['vis'](tmp_path)
    mask(dict(size=SIZE, counts='P3'))(tmp_path)
    shutil.copy(tmp_path / 'train.json', tmp_path / 'instances_train.json')
    report = check_vis(tmp_path, 'ovis', splits=['train'], own=True)
    assert any('annotation 10, frame 1' in what for _, what in report.problems)
