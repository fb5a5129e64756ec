# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest

from mmvc.formats import coco


@pytest.fixture
def content():
    return dict(
        images=[dict(id=1, file_name='1.jpg'), dict(id=2, file_name='2.jpg')],
        categories=[dict(id=1, name='cup')],
        annotations=[dict(id=5, image_id=1, category_id=1, segmentation=[[0, 0, 1, 0, 1, 1]])])


def test_sizes_are_asked_for_where_they_are_needed(tmp_path, content):
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    assert coco.read_annotations(path) == content
    with pytest.raises(ValueError, match=r'instances.json": images\[0\] has no height, width'):
        coco.read_annotations(path, with_sizes=True)


def test_all_faults_are_found(content):
    content['images'].append(content['images'][0])
    content['annotations'] += [dict(content['annotations'][0], id=6, image_id=9),
                               dict(content['annotations'][0], id=7, category_id=9)]
    faults = list(coco.find_faults(content, 'file'))
    assert [fault.kind for fault in faults] == ['annotation', 'unknown id', 'unknown id']
    for fault, what in zip(faults, ('image id 1 twice', 'annotation 6 has the image_id 9',
                                    'annotation 7 has the category_id 9')):
        assert what in fault.what and '"file"' in fault.what


@pytest.mark.parametrize('change', [dict(file_name='../1.jpg'), dict(file_name='/1.jpg'), dict(id='../../1')])
def test_names_that_leave_their_folder_are_faults(content, change):
    content['images'][1].update(change)
    (fault, ) = coco.find_faults(content, 'file')
    assert fault.kind == 'name' and fault.what.startswith('"file", ')
