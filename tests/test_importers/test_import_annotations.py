# Copyright (c) The mmvc contributors. All rights reserved.
"""The command, from the files of a tool to a dataset."""

import runpy
import sys

import pytest

from mmvc.commands.import_annotations import build_parser, main
from mmvc.importers.registry import READERS, find_reader
from mmvc.utils.errors import UsageError
from tests.helpers.annotation_exports import (
    coco_content,
    cvat_body,
    write_cvat_masks,
    write_cvat_xml,
    write_json,
    write_mots_png,
)
from tests.helpers.doc_commands import ROOT
from tests.helpers.drawn_videos import write_frames


def write_xml(root):
    write_frames(root / 'images', [f'frame_{index:06d}' for index in range(5)])
    write_cvat_xml(root / 'annotations.xml', cvat_body())


def write_coco(root):
    write_frames(root / 'images', [f'frame_{index:06d}' for index in range(5)], '.PNG')
    write_json(root / 'annotations/instances_default.json', coco_content())


EXPORTS = {'cvat-xml': write_xml, 'cvat-masks': write_cvat_masks, 'mots-png': write_mots_png, 'coco': write_coco}


@pytest.mark.parametrize('name', EXPORTS)
def test_formats_are_recognised(tmp_path, name):
    EXPORTS[name](tmp_path / 'street')
    assert find_reader(tmp_path / 'street').NAME == name


def test_a_dataset(tmp_path, capsys, problems, monkeypatch):
    write_xml(tmp_path / 'street')
    monkeypatch.setattr(sys, 'argv', ['from_annotations.py', str(tmp_path / 'street'), str(tmp_path / 'out'),
                                      '--layout', 'panoptic', '--stuff', 'tree'])
    runpy.run_path(str(ROOT / 'tools/dataset_converters/from_annotations.py'), run_name='__main__')
    text = capsys.readouterr().out
    assert 'cvat-xml: 1 videos in the layout panoptic' in text
    assert f'mmvc train {tmp_path / "out/config.py"}' in text and f'mmvc check {tmp_path / "out/config.py"}' in text
    assert ' 80.0%' in text and 'boxes' in text
    assert not problems(tmp_path / 'out/config.py')


@pytest.mark.parametrize('arguments, message', [
    (('nothing', 'out'), '"nothing" does not exist'),
    (('a.zip', 'out'), 'is an archive: unpack it'),
    (('a.txt', 'out'), 'is in no format that can be recognised: name its format (--format cvat-xml|'),
    (('.', 'out'), '"." is in no format that can be recognised, but "street" is: give this folder'),
    (('street', 'out', '--images', 'lost'), '"lost" does not exist: correct it (--images)'),
    (('street', 'out', '--format', 'id-masks', '--categories', 'c.json'), '"c.json" does not exist: correct it'),
    (('empty', 'out', '--format', 'cvat-xml'), '"empty/annotations.xml" does not exist: give the XML file'),
    (('empty', 'out', '--format', 'cvat-masks'), '"empty/labelmap.txt" does not exist: give the folder'),
    (('street', 'out', '--binary'), '--binary is an option of the format id-masks, "street" is cvat-xml'),
    (('street', 'out', '--layout', 'instances', '--val', 'north'), 'there is no labelled video "north"'),
    (('street', 'street/out'), 'would overwrite or mix with the input'),
])
def test_errors_take_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_xml(tmp_path / 'street')
    (tmp_path / 'empty').mkdir()
    for name in ('a.zip', 'a.txt'):
        (tmp_path / name).write_text('x')
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert message in str(caught.value) and '\n' not in str(caught.value).strip()
    assert not (tmp_path / 'out').exists()


def test_ambiguous_and_unknown_formats(tmp_path, monkeypatch):
    write_mots_png(tmp_path)
    for reader in list(READERS.values())[:2]:
        monkeypatch.setattr(reader, 'matches', classmethod(lambda cls, path: True))
    monkeypatch.delitem(READERS, 'mots-png')
    with pytest.raises(UsageError, match=r'may be cvat-xml or cvat-masks: name its format \(--format cvat-xml'):
        find_reader(tmp_path)
    assert find_reader(tmp_path, 'coco').NAME == 'coco'
    with pytest.raises(UsageError, match='there is no format "video"'):
        find_reader(tmp_path, 'video')


def test_help(capsys):
    with pytest.raises(SystemExit):
        build_parser('mmvc import').parse_args(['--help'])
    text = capsys.readouterr().out
    assert all(f'  {name} ' in text and reader.HELP in text for name, reader in READERS.items())
    assert 'mmvc import exports/street data/street' in text
