# Copyright (c) The mmvc contributors. All rights reserved.
import shutil

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvc.datasets import BaseVideoSegDataset, CamVidDataset, VSPWDataset
from mmvc.registry import DATASETS

CLASSES = ('floor', 'wall', 'cup')


def build(root, **kwargs):
    return VSPWDataset(**{**dict(data_root=str(root), ann_file='train.txt', metainfo=dict(classes=CLASSES)), **kwargs})


def test_one_item_per_video(vspw_root):
    dataset = build(vspw_root)
    assert len(dataset) == 2
    video = dataset.get_data_info(0)
    assert (video['video_id'], video['video_length'], len(video['images'])) == ('a', 7, 7)
    assert video['images'][2] == dict(
        img_path=f'{vspw_root}/data/a/origin/0010.jpg',
        frame_id=2,
        seg_map_path=f'{vspw_root}/data/a/mask/0010.png')


def test_classes_of_vspw():
    meta = VSPWDataset.METAINFO
    assert len(meta['classes']) == len(meta['palette']) == len(set(meta['classes'])) == 124
    assert len(meta['thing_classes']) == 58 and set(meta['thing_classes']) < set(meta['classes'])
    assert meta['classes'][0] == 'wall' and meta['palette'][0] == (120, 120, 120)


def test_classes_from_config_replace_those_of_the_dataset(vspw_root):
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = DATASETS.build(
            dict(
                type='VSPWDataset',
                data_root=str(vspw_root),
                ann_file='train.txt',
                metainfo=dict(classes=CLASSES, palette=[(1, 2, 3), (4, 5, 6), (7, 8, 9)])))
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.metainfo['palette'] == [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    assert 'thing_classes' not in dataset.metainfo
    assert dataset.metainfo['label_offset'] == 1
    lut = dataset.get_data_info(0)['label_lut']
    assert lut[:5].tolist() == [255, 0, 1, 2, -1] and lut[251:].tolist() == [-1, 255, 255, 255, 255]


def test_palette_is_made_up_where_none_is_given(vspw_root):
    palettes = [build(vspw_root).metainfo['palette'] for _ in range(2)]
    assert palettes[0] == palettes[1] and len(set(palettes[0])) == 3


def test_masks_may_be_absent_only_in_testing(vspw_root):
    shutil.rmtree(vspw_root / 'data/b/mask')
    with pytest.raises(FileNotFoundError, match=r'data/b/origin/0008\.jpg.*no mask.*data/b/mask/0008\.png'):
        build(vspw_root)
    images = build(vspw_root, test_mode=True).get_data_info(1)['images']
    assert len(images) == 3 and not any('seg_map_path' in image for image in images)


def test_a_layout_of_ones_own_needs_no_code(tmp_path):
    for number in (10, 9, 1):
        for folder in ('frames', 'labels'):
            (tmp_path / folder / 'kitchen').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'frames/kitchen' / f'{number}.png'), np.zeros((4, 4, 3), np.uint8))
        cv2.imwrite(str(tmp_path / 'labels/kitchen' / f'{number}_ids.png'), np.zeros((4, 4), np.uint8))
    (tmp_path / 'frames/kitchen/._1.png').write_bytes(b'resource fork')
    (tmp_path / 'list.txt').write_text('kitchen\r\n\n')
    dataset = BaseVideoSegDataset(
        ann_file='list.txt',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='frames/{video}', seg_map_path='labels/{video}'),
        img_suffix='.png',
        seg_map_suffix='_ids.png',
        label_offset=0,
        void_values=(9, ),
        metainfo=dict(classes=('a', 'b')))
    video = dataset.get_data_info(0)
    assert [image['img_path'].rsplit('/', 1)[1] for image in video['images']] == ['1.png', '9.png', '10.png']
    assert video['label_lut'][:10].tolist() == [0, 1, *[-1] * 7, 255]


def test_camvid(tmp_path):
    for path in ('JPEGImages/drive/0.jpg', 'Annotations/drive/0.png'):
        (tmp_path / path).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / path), np.full((4, 4), 11, np.uint8))
    (tmp_path / 'ImageSets').mkdir()
    (tmp_path / 'ImageSets/val.txt').write_text('drive\n')
    dataset = CamVidDataset(data_root=str(tmp_path), ann_file='ImageSets/val.txt')
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 11
    assert dataset.get_data_info(0)['label_lut'][[0, 10, 11, 12]].tolist() == [0, 10, 255, -1]


def drop_list(root):
    (root / 'train.txt').unlink()


def empty_list(root):
    (root / 'train.txt').write_text('\n')


def repeat_video(root):
    (root / 'train.txt').write_text('a\nb\na\n')


def unknown_video(root):
    (root / 'train.txt').write_text('a\nnowhere\n')


def drop_frames(root):
    for path in (root / 'data/b/origin').iterdir():
        path.unlink()


def drop_mask(root):
    (root / 'data/a/mask/0011.png').unlink()


@pytest.mark.parametrize('damage, error, message', [
    (shutil.rmtree, FileNotFoundError, 'data_root .* is not a folder'),
    (drop_list, FileNotFoundError, r'train\.txt" does not exist'),
    (empty_list, ValueError, r'train\.txt" is empty'),
    (repeat_video, ValueError, 'names videos twice: a'),
    (unknown_video, FileNotFoundError, r'"nowhere" of .*train\.txt" has no folder'),
    (drop_frames, ValueError, r'"b" has no "\*\.jpg" frames'),
    (drop_mask, FileNotFoundError, r'a/origin/0011\.jpg.*no mask'),
])
def test_damaged_datasets(vspw_root, damage, error, message):
    damage(vspw_root)
    with pytest.raises(error, match=message):
        build(vspw_root)


@pytest.mark.parametrize('metainfo, message', [
    (dict(classes=()), 'must list the class names'),
    (dict(classes=('a', 'a')), 'twice'),
    (dict(classes=('a', 'b'), palette=[(0, 0, 0)]), '1 colours for 2 classes'),
    (dict(classes=('a', 'b'), thing_classes=('c', )), r"\['c'\]"),
    (dict(classes=tuple(map(str, range(256)))), 'do not fit'),
])
def test_wrong_metainfo(vspw_root, metainfo, message):
    with pytest.raises(ValueError, match=message):
        build(vspw_root, metainfo=metainfo)
