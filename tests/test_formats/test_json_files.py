# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest

from mmvc.formats.json_files import FLAG, ID, Fault, find_fault, find_repeats, raise_first, read_json
from mmvc.utils.errors import DataError

SCHEMA = {'videos': [{'id': ID, 'names': [str], 'crowd?': FLAG, 'areas?': [(type(None), float)],
                      'level?': frozenset({None, 'low'})}]}
SOUND = dict(id=1, names=['a', 'b'], crowd=0, areas=[None, 2, 0.5], level='low', other=object)


@pytest.mark.parametrize('changes, fault', [
    (dict(), None),
    (dict(id='x', crowd=None, areas=None, level=None), None),
    (dict(id=None), ': videos[0].id is null, not a 64-bit integer or text'),
    (dict(id=True), ': videos[0].id is true, not a 64-bit integer or text'),
    (dict(id=2**63), ': videos[0].id is 9223372036854775808, not a 64-bit integer or text'),
    (dict(names=None), ': videos[0].names is null, not a list'),
    (dict(names=['a', 1]), ': videos[0].names[1] is 1, not text'),
    (dict(names='ab'), ": videos[0].names is 'ab', not a list"),
    (dict(crowd='0'), ": videos[0].crowd is '0', not a 64-bit integer or true or false"),
    (dict(areas=[float('nan')]), ': videos[0].areas[0] is nan, not null or a finite number'),
    (dict(level='high'), ": videos[0].level is 'high', not one of 'low', null"),
])
def test_a_file_is_read_if_it_fits_the_schema(tmp_path, changes, fault):
    content = dict(videos=[dict(SOUND, other=0) | changes])
    path = tmp_path / 'file.json'
    path.write_text(json.dumps(content))
    assert find_fault(content, SCHEMA) == fault
    if fault is None:
        assert read_json(path, SCHEMA, 'videos') == content
    else:
        with pytest.raises(DataError) as caught:
            read_json(path, SCHEMA, 'some videos')
        assert str(caught.value) == f'"{path}"{fault}: expected some videos'


@pytest.mark.parametrize('content, message', [
    ('{}', 'has no videos'),
    ('[]', r'is \[\], not an object'),
    ('{"videos": [3]}', r'videos\[0\] is 3, not an object'),
    ('{"videos": [{"id": 1}]}', r'videos\[0\] has no names'),
    ('{"videos": ', 'is not valid JSON'),
    ('[' * 100000, 'is not valid JSON'),
])
def test_what_does_not_fit_is_named(tmp_path, content, message):
    (tmp_path / 'file.json').write_text(content)
    with pytest.raises(DataError, match=f'file.json".*{message}'):
        read_json(tmp_path / 'file.json', SCHEMA, 'some videos')
    with pytest.raises(FileNotFoundError, match='nowhere.json" does not exist: expected some videos'):
        read_json(tmp_path / 'nowhere.json', SCHEMA, 'some videos')


def test_other_places_than_the_disk(tmp_path):
    (tmp_path / 'file.json').write_text('{"videos": []}')
    assert read_json(str(tmp_path / 'file.json'), SCHEMA, 'videos', dict(backend='local')) == dict(videos=[])


def test_repeated_values():
    faults = list(find_repeats([1, 'a', 1, '1', 'b'], 'id', 'id in videos', 'file'))
    assert [fault.what for fault in faults] == [
        f'"file" has the id {value} twice (id in videos); remove or rename one of them' for value in ("1", "'1'")]
    with pytest.raises(DataError, match='has the id 1 twice'):
        raise_first(faults)
    raise_first([])  # must not raise
    assert faults[0] == Fault('annotation', faults[0].what)
