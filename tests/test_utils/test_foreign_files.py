# Copyright (c) The mmvc contributors. All rights reserved.
"""Files that are no checkpoints are called what they are, wherever a checkpoint is loaded."""

import gzip
import io
import re
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmvc.engine import require_checkpoint
from mmvc.engine.checkpoints import why_not_resumable
from mmvc.models.official_weights import load_official_checkpoint
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.errors import UsageError
from mmvc.utils.foreign_files import recognise_foreign_file

POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 104857600\n' % (b'ab' * 32)


def _picture(suffix):
    return cv2.imencode(suffix, np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def _zip(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name in names:
            archive.writestr(name, 'content')
    return buffer.getvalue()


def _tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('model.pth'))
    return buffer.getvalue()


def _arrays():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


FOREIGN = {
    'empty': (b'', 'an empty file', 'download or copy it again'),
    'web page': (b'\xef\xbb\xbf\n<!DOCTYPE html><title>Sign in</title>', 'a web page', 'asks for a login'),
    'small lfs': (POINTER.replace(b'104857600', b'12345'), 'a pointer of Git LFS that stands for 12.1 KiB', 'git lfs'),
    'lfs': (POINTER, 'a pointer of Git LFS that stands for 100.0 MiB', 'git lfs pull.*raw address'),
    'json': (b'{"error": "Repository not found"}', 'a text in JSON .*Repository not found', 'check .*your access'),
    'text': (b'Entry not found\n', 'a text ."Entry not found".', 'download it again'),
    'long text': ('ä'.encode() * 3000, 'a text', 'download it again'),  # a character is cut at the end of the start
    'png': (_picture('.png'), 'a PNG picture', 'path of the checkpoint'),
    'jpeg': (_picture('.jpg'), 'a JPEG picture', 'path of the checkpoint'),
    'gzip': (gzip.compress(b'weights'), 'a gzip archive', 'unpack it'),
    'tar': (_tar(), 'a tar archive', 'unpack it'),
    'zip': (_zip('a.txt', 'b/c.png', 'd', 'e'), r'a zip archive of other files \(a.txt, b/c.png, d, ...\)', 'unpack'),
    'empty zip': (_zip(), 'an empty zip archive', 'unpack it'),
    'npz': (_arrays(), r'an archive of numpy arrays \(.npz\)', 'path of the checkpoint'),
}


@pytest.fixture(params=FOREIGN, ids=lambda name: name.replace(' ', '_'))
def foreign(request):
    return FOREIGN[request.param]


def test_recognise(foreign):
    content, kind, remedy = foreign
    file = io.BytesIO(content)
    file.seek(len(content))
    found = recognise_foreign_file(file)
    assert file.tell() == 0
    text = found.describe('"x.pth"')
    assert text.startswith('"x.pth" is ') and '\n' not in text
    assert re.search(kind, found.kind) and re.search(remedy, found.remedy)


def _load_trusted(path):
    trust_checkpoints()
    return CheckpointLoader.load_checkpoint(path)


@pytest.mark.parametrize('load', [CheckpointLoader.load_checkpoint, _load_trusted, require_checkpoint,
                                  load_official_checkpoint], ids=lambda load: load.__name__)
@pytest.mark.parametrize('suffix', ['pth', 'pkl', 'safetensors'])
@pytest.mark.parametrize('name', ['empty', 'web page', 'lfs', 'json', 'png', 'zip', 'empty zip'])
def test_every_way_to_load_a_checkpoint_says_so(name, tmp_path, load, suffix, monkeypatch):
    if suffix == 'safetensors':
        pytest.importorskip('safetensors')
    monkeypatch.setenv('MMVC_TRUST_CHECKPOINTS', '0')
    content, kind, remedy = FOREIGN[name]
    path = tmp_path / f'model.{suffix}'
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f'checkpoint ".*model.{suffix}" is {kind}.*, not a checkpoint: .*{remedy}'
                       ) as caught:
        load(str(path))
    assert '\n' not in str(caught.value)
    for advice in ('weights_only', 'torch.load', 'trust', 'run code'):
        assert advice not in str(caught.value)


def test_a_training_does_not_resume_from_it(foreign, tmp_path):
    content, kind, _ = foreign
    (tmp_path / 'iter_1.pth').write_bytes(content)
    found = why_not_resumable(tmp_path / 'iter_1.pth')
    assert found is not None and re.search(f'is {kind}.*, not a checkpoint', found)


def test_checkpoints_are_not_foreign(tmp_path):
    weights = dict(weight=torch.zeros(10))
    torch.save(weights, tmp_path / 'new.pth')
    torch.save(weights, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    files = [tmp_path / 'new.pth', tmp_path / 'old.pth']
    (tmp_path / 'cut.pth').write_bytes(files[0].read_bytes()[:300])
    assert [recognise_foreign_file(path) for path in (*files, tmp_path / 'cut.pth')] == [None] * 3


@pytest.mark.parametrize('length', [b'<', b'{', b'['])
def test_the_length_of_a_safetensors_header_may_look_like_text(tmp_path, length):
    """The first byte of such a file is the last byte of a length, so it can be any."""
    (tmp_path / 'model.safetensors').write_bytes(length + b'\0' * 7 + b'{"w":1}')
    assert recognise_foreign_file(tmp_path / 'model.safetensors') is None


def test_truncated_files_get_no_advice_to_run_code(tmp_path):
    torch.save(dict(weight=torch.zeros(1000)), tmp_path / 'cut.pth')
    for size in (300, 20):
        (tmp_path / 'cut.pth').write_bytes((tmp_path / 'cut.pth').read_bytes()[:size])
        for load in (CheckpointLoader.load_checkpoint, require_checkpoint, load_official_checkpoint):
            with pytest.raises(UsageError, match='cut.pth" is truncated, corrupt or not a .*again') as caught:
                load(str(tmp_path / 'cut.pth'))
            assert 'weights_only' not in str(caught.value) and '\n' not in str(caught.value)


def test_a_file_of_torch_with_the_suffix_of_safetensors(tmp_path):
    pytest.importorskip('safetensors')
    torch.save(dict(weight=torch.zeros(10)), tmp_path / 'model.safetensors')
    with pytest.raises(UsageError, match='a file of torch, not of safetensors: call it .pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'model.safetensors'))
    (tmp_path / 'model.safetensors').rename(tmp_path / 'model.pkl')
    assert load_official_checkpoint(tmp_path / 'model.pkl')['weight'].shape == (10, )
