# Copyright (c) The mmvc contributors. All rights reserved.
import subprocess
import sys
from pathlib import Path

import pytest

from mmvc.utils import atomic
from mmvc.utils.atomic import (
    atomic_folder,
    atomic_path,
    atomic_write,
    remove_drafts,
    remove_orphaned_drafts,
    require_writable,
    resumable_path,
)
from mmvc.utils.errors import UsageError


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def kill_while_writing(writer: str, target) -> None:
    """Let a process end with SIGKILL inside of ``atomic_path`` or ``atomic_folder``."""
    script = (f'import os, sys; from mmvc.utils.atomic import {writer}\n'
              f'with {writer}(sys.argv[1]) as draft:\n'
              '    (draft / "old" if draft.is_dir() else draft).touch(); os.kill(os.getpid(), 9)')
    assert subprocess.run([sys.executable, '-c', script, str(target)]).returncode == -9


def test_staging(tmp_path):
    """Under SIGKILL: what lies around has a hidden name, and does not get into what is written next."""
    target = tmp_path / 'a/b'
    with atomic_folder(target) as folder:
        (folder / 'x').touch()
        assert not target.exists() and folder.name.startswith('.')
    assert names(tmp_path) == ['a/b/x']
    kill_while_writing('atomic_folder', target)
    assert len(names(tmp_path)) == 2
    with atomic_folder(target, inner='b') as folder:
        (folder / 'b').mkdir()
        (folder / 'b/y').touch()
    assert names(tmp_path) == ['a/b/y']
    with atomic_path(tmp_path / 'c.json') as draft, open(draft, 'w', encoding='utf-8') as file:
        assert not (tmp_path / 'c.json').exists()
        file.write('x')
    assert (tmp_path / 'c.json').read_text() == 'x'


@pytest.mark.parametrize('length', [120, 121, 255])
def test_names_of_any_length(tmp_path, length):
    """Their drafts have the same limit of 255 bytes, which is half as many letters here."""
    target = tmp_path / ('é' * (length // 2) + 'x' * (length % 2))
    for _ in range(2):
        with atomic_folder(target) as folder:
            (folder / 'x').touch()
        atomic_write(target / target.name, b'new')
    kill_while_writing('atomic_folder', target)
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_folder(target) as folder:
        (folder / 'y').touch()
    assert names(tmp_path) == [f'{target.name}/y'] and [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_folder_that_is_not_completed_leaves_the_old_one(tmp_path):
    target = tmp_path / 'a'
    target.mkdir()
    (target / 'old').touch()
    with pytest.raises(OSError, match='full'), atomic_folder(target) as folder:
        (folder / 'new').touch()
        raise OSError('full')
    assert names(tmp_path) == ['a/old'] and [path.name for path in tmp_path.iterdir()] == ['a']


def test_two_writers_of_one_file_do_not_share_a_draft(tmp_path):
    """The last one that finishes wins, with all of its content."""
    path = tmp_path / 'a.json'
    with atomic_path(path) as first, atomic_path(path) as second:
        first.write_text('first')
        second.write_text('second')
        assert first != second and not path.exists()
    assert path.read_text() == 'first' and names(tmp_path) == ['a.json']


@pytest.mark.parametrize('keep_suffix', [True, False])
def test_a_draft_is_hidden_and_keeps_the_suffix_on_request(tmp_path, keep_suffix):
    with atomic_path(tmp_path / 'a.mp4', keep_suffix=keep_suffix) as draft:
        assert draft.name.startswith('.') and (draft.suffix == '.mp4') is keep_suffix
        draft.touch()


@pytest.mark.parametrize('sync', [True, False])
def test_a_failed_block_leaves_the_old_file_alone(tmp_path, sync):
    path = tmp_path / 'a'
    path.write_text('old')
    with pytest.raises(KeyError), atomic_path(path, sync) as draft:
        draft.write_text('new')
        raise KeyError
    assert path.read_text() == 'old' and names(tmp_path) == ['a']


def test_drafts_of_killed_processes_are_removed_and_those_of_running_ones_stay(tmp_path):
    """By the next durable writing of the same file, not of another one."""
    for name in ('a', 'b'):
        kill_while_writing('atomic_path', tmp_path / name)
    with atomic_path(tmp_path / 'a') as running:
        running.touch()
        assert len(names(tmp_path)) == 3
        atomic_write(tmp_path / 'a', b'new')
        assert sorted(name.split('.')[1] for name in names(tmp_path) if name.startswith('.')) == ['a', 'b']
        assert running.exists()
    remove_drafts(tmp_path, '*')
    assert names(tmp_path) == ['a']


def test_drafts_of_killed_processes_are_removed_before_a_folder_is_used(tmp_path):
    """Those of any file, and those four levels below."""
    for name in ('a', 'masks/clip/000.png', 'data/street/left/origin/0.jpg'):
        kill_while_writing('atomic_path', tmp_path / name)
    kill_while_writing('atomic_folder', tmp_path / 'masks/clip')
    (tmp_path / 'masks/.notes.tmp').touch()
    with atomic_path(tmp_path / 'b') as running:
        running.touch()
        require_writable(tmp_path)
        assert running.exists()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*')) == [
        'b', 'data', 'data/street', 'data/street/left', 'data/street/left/origin', 'masks', 'masks/.notes.tmp',
        'masks/clip']
    remove_orphaned_drafts(tmp_path / 'missing')


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match='missing'), atomic_path(tmp_path / 'a'):
        (tmp_path / 'missing').read_bytes()


def test_a_folder_below_a_file_is_not_writable(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError):
        require_writable(tmp_path / 'file/folder')
    require_writable(tmp_path / 'folder')
    assert list((tmp_path / 'folder').iterdir()) == []


@pytest.mark.parametrize('exchanges', [True, False])
def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path, monkeypatch, exchanges):
    """Also if the target is a link, whose folder stays as it is."""
    if not exchanges:
        monkeypatch.setattr(atomic, '_exchange', lambda first, second: False)
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real/old').touch()
    (tmp_path / 'link').symlink_to('real')
    for target in ('link', 'real'):
        with atomic_folder(tmp_path / target, inner='b') as folder:
            (folder / 'b').mkdir()
            (folder / 'b/new').touch()
        if target == 'link':
            assert names(tmp_path / 'real') == ['old'] and not (tmp_path / 'link').is_symlink()
    assert names(tmp_path) == ['link/new', 'real/new'] and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems cannot exchange folders')
def test_there_is_no_moment_without_a_folder(tmp_path, monkeypatch):
    """Nothing but one exchange touches the name."""
    (tmp_path / 'a').mkdir()
    monkeypatch.setattr(Path, 'rename', lambda *_: pytest.fail('renamed'))
    with atomic_folder(tmp_path / 'a') as folder:
        (folder / 'new').touch()
    assert names(tmp_path) == ['a/new']


def test_the_old_folder_comes_back_if_the_new_one_cannot_be_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, '_exchange', lambda first, second: False)
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/old').touch()
    rename, calls = Path.rename, []

    def fail_second(self, other):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(116, 'Stale file handle')
        return rename(self, other)

    monkeypatch.setattr(Path, 'rename', fail_second)
    with pytest.raises(OSError, match='Stale'), atomic_folder(tmp_path / 'a') as folder:
        (folder / 'new').touch()
    assert names(tmp_path) == ['a/old'] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize('there', [True, False])
def test_a_folder_that_a_killed_process_put_away_comes_back(tmp_path, there):
    ended = subprocess.Popen(['true'])
    ended.wait()
    (tmp_path / f'.a.{atomic._HOST}-{ended.pid}-1.old').mkdir()
    (tmp_path / f'.a.{atomic._HOST}-{ended.pid}-1.old/old').touch()
    if there:
        (tmp_path / 'a').mkdir()
    with atomic_folder(tmp_path / 'b'):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'b']
    assert names(tmp_path) == ([] if there else ['a/old'])


@pytest.mark.parametrize('strange', ['0.jpg', 'mask/0.png', 'mask'])
def test_a_folder_of_other_things_is_not_replaced(tmp_path, strange):
    path = tmp_path / 'a' / strange
    path.parent.mkdir(parents=True)
    path.touch() if path.suffix else path.mkdir()
    with pytest.raises(UsageError, match='choose another'), atomic_folder(tmp_path / 'a', replaces=('.png', )):
        pytest.fail('the block must not run')
    assert path.exists()


def test_a_folder_of_the_same_outputs_is_replaced(tmp_path):
    (tmp_path / 'a').mkdir()
    for name in ('0.png', '1.PNG', '.DS_Store'):
        (tmp_path / 'a' / name).touch()
    with atomic_folder(tmp_path / 'a', replaces=('.png', )) as folder:
        (folder / '0.png').touch()
    assert names(tmp_path) == ['a/0.png']


def test_a_draft_that_stays(tmp_path):
    target = tmp_path / 'folder' / 'weights.pth'
    with pytest.raises(OSError, match='broken'), resumable_path(target) as draft:
        draft.write_bytes(b'first ')
        raise OSError('broken')
    assert draft.exists() and not target.exists() and draft.suffix == '.pth'
    with resumable_path(target) as again:
        assert again == draft
        with open(again, 'ab') as file:
            file.write(b'second')
    assert target.read_bytes() == b'first second' and list(target.parent.iterdir()) == [target]
