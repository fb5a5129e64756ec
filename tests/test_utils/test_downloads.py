# Copyright (c) The mmvc contributors. All rights reserved.
import hashlib
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
import torch

from mmvc.utils import checkpoint_loading, downloads
from mmvc.utils.checkpoint_loading import load_from_http, load_from_local
from mmvc.utils.downloads import download, find_download
from mmvc.utils.errors import CheckpointError


def checkpoint(folder, value: float) -> bytes:
    torch.save(dict(state_dict=dict(w=torch.full((50, ), value))), folder / 'made.pth')
    return (folder / 'made.pth').read_bytes()


@pytest.fixture
def site(monkeypatch):
    """A server of ``site.pages``, by path: content, or a function that replies. It notes the requests."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')

    class Handler(BaseHTTPRequestHandler):

        def do_GET(self):
            server.requests.append(self.path)
            page = server.pages.get(self.path.split('?')[0])
            if callable(page):
                page(self)
            elif page is None:
                self.send_error(404)
            else:
                reply(self, page)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.pages, server.requests = {}, []
    server.url = f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def reply(handler, content: bytes, missing: int = 0) -> None:
    handler.send_response(200)
    handler.send_header('Content-Length', str(len(content) + missing))
    handler.end_headers()
    handler.wfile.write(content)


def test_each_address_has_its_own_file(site, tmp_path):
    for index, path in enumerate(('/vspw/latest.pth', '/ovis/latest.pth')):
        site.pages[path] = checkpoint(tmp_path, index)
    urls = [f'{site.url}/vspw/latest.pth', f'{site.url}/ovis/latest.pth', f'{site.url}/vspw/latest.pth?version=2']
    for _ in range(2):
        assert [load_from_http(url, model_dir=str(tmp_path / 'cache'), progress=False)['state_dict']['w'][0].item()
                for url in urls] == [0, 1, 0]
    assert site.requests == ['/vspw/latest.pth', '/ovis/latest.pth', '/vspw/latest.pth?version=2']
    assert len(list((tmp_path / 'cache').iterdir())) == 3


@pytest.mark.parametrize('content, message', [
    (b'<html>please log in</html>', 'gives a web page, not a checkpoint'),
    (b'\xef\xbb\xbf\n  <!DOCTYPE html>', 'gives a web page, not a checkpoint'),
    (b'', 'gives an empty file, not a checkpoint'),
    (b'{"error": "quota exceeded"}', 'gives a text in JSON .*quota exceeded.*, not a checkpoint'),
    (b'version https://git-lfs.github.com/spec/v1', 'gives a pointer of Git LFS, not a checkpoint'),
    ('half', 'gives no checkpoint'),
    ('flipped', 'gives no checkpoint'),
    ('cut off', r'cannot be downloaded: \d+ of \d+ bytes came'),
    (None, 'cannot be downloaded: 404 Not Found'),
])
@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_what_is_no_checkpoint_is_not_kept(site, tmp_path, content, message, suffix):
    whole = checkpoint(tmp_path, 1.)
    at = whole.index(torch.full((50, ), 1.).numpy().tobytes())
    page = dict(half=whole[:len(whole) // 2], flipped=whole[:at] + b'x' + whole[at + 1:])
    site.pages[f'/model.{suffix}'] = (lambda handler: reply(handler, whole, 10)) if content == 'cut off' else \
        page.get(content, content)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f'model.{suffix}" {message}') as caught:
            download(f'{site.url}/model.{suffix}?token=sesame', tmp_path / 'cache', progress=False)
        assert '\n' not in str(caught.value) and 'sesame' not in str(caught.value)
    assert len(site.requests) == 2 and not list((tmp_path / 'cache').iterdir())


def test_a_file_without_checksums_needs_a_length(site, tmp_path):
    weights = dict(w=torch.zeros(50))
    torch.save(weights, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    content = (tmp_path / 'old.pth').read_bytes()

    def cut_off(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content[:-100])

    site.pages.update({'/cut.pth': cut_off, '/old.pth': content})
    with pytest.raises(CheckpointError, match='cut.pth" gives no checkpoint, or only a part'):
        download(f'{site.url}/cut.pth', tmp_path / 'cache', progress=False)
    assert not list((tmp_path / 'cache').iterdir())
    assert load_from_local(download(f'{site.url}/old.pth', tmp_path / 'cache', progress=False))['w'].shape == (50, )


def test_servers_that_do_not_answer(site, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, '_TIMEOUT', 0.3)

    def drops(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b'P')
            handler.wfile.flush()
            time.sleep(0.05)

    site.pages.update({'/drops.pth': drops, '/silent.pth': lambda handler: time.sleep(3)})
    start = time.monotonic()
    for name, reason in (('drops', 'less than 1024 bytes per second'), ('silent', 'timed out')):
        with pytest.raises(CheckpointError, match=f'{name}.pth" cannot be downloaded: .*{reason}'):
            download(f'{site.url}/{name}.pth', tmp_path, progress=False)
    with pytest.raises(CheckpointError, match='cannot be downloaded: .*refused'):
        download('http://127.0.0.1:1/model.pth', tmp_path, progress=False)
    with pytest.raises(CheckpointError, match='"http://127.0.0.1:1/model.pth" cannot be downloaded') as caught:
        download('http://me:sesame@127.0.0.1:1/model.pth', tmp_path, progress=False)
    assert 'sesame' not in str(caught.value)
    assert time.monotonic() - start < 2.5


def test_files_that_torch_downloaded(site, tmp_path, monkeypatch):
    """torch calls them by the last part of the address: only its hash says that it is the same file."""
    content = checkpoint(tmp_path, 3.)
    digest = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / f'resnet-{digest}.pth').write_bytes(content)
    (tmp_path / 'latest.pth').write_bytes(content)
    (tmp_path / 'swin-00000000.pth').write_bytes(content)
    assert load_from_http(f'{site.url}/resnet-{digest}.pth', model_dir=str(tmp_path))['state_dict']['w'][0] == 3
    assert not site.requests
    for name in ('latest.pth', 'swin-00000000.pth'):
        with pytest.raises(CheckpointError, match='404'):
            download(f'{site.url}/{name}', tmp_path)
    logged = []
    monkeypatch.setattr(downloads, 'print_log', lambda message, *args, **kwargs: logged.append(message))
    site.pages['/swin-00000000.pth'] = checkpoint(tmp_path, 4.)
    assert load_from_local(download(f'{site.url}/swin-00000000.pth', tmp_path))['state_dict']['w'][0] == 4
    assert len(logged) == 1 and 'another SHA-256 than its name says' in logged[0]


@pytest.mark.parametrize('path', [
    '/', '', '/..', '/a/%2e%2e%2fb', '/%00.pth', '/.hidden', '/' + 'x' * 300 + '.pth', '/a\\b',
    '/' + quote('权' * 90) + '.pth'
])
def test_names_of_files(tmp_path, path):
    file = downloads._cached_file(f'http://localhost{path}', tmp_path)
    assert file.parent == tmp_path and len(os.fsencode(file.name)) < 150
    assert file.name.isprintable() and '\\' not in file.name


def test_other_processes_do_not_wait_for_ever(site, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(checkpoint_loading, 'barrier', lambda: waited.append(1))
    with pytest.raises(CheckpointError, match='404'):
        load_from_http(f'{site.url}/model.pth', model_dir=str(tmp_path))
    monkeypatch.setattr(checkpoint_loading, 'get_local_rank', lambda: 1)
    with pytest.raises(CheckpointError, match='model.pth" is not in .* first process'):
        load_from_http(f'{site.url}/model.pth', model_dir=str(tmp_path))
    assert waited == [1, 1] and len(site.requests) == 1
    assert find_download(f'{site.url}/model.pth', tmp_path, default=None) is None


def in_parts(content: bytes, breaks: list[int], tag='"v1"', ranges=True):
    """A page whose connection breaks after a number of bytes, once per number in ``breaks``."""

    def page(handler):
        start = int(handler.headers.get('Range', 'bytes=0-')[6:-1])
        if handler.headers.get('If-Range') != tag or not ranges:
            start = 0
        if start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header('Content-Length', str(len(content) - start))
        if ranges:
            handler.send_header('Accept-Ranges', 'bytes')
        handler.send_header('ETag', tag)
        handler.end_headers()
        handler.wfile.write(content[start:start + breaks.pop(0)] if breaks else content[start:])

    return page


def test_a_broken_transfer_goes_on(site, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, '_PAUSE', 0.)
    content = checkpoint(tmp_path, 5.)
    site.pages['/model.pth'] = in_parts(content, [400, 300])
    path = download(f'{site.url}/model.pth', tmp_path / 'cache', progress=False)
    assert len(site.requests) == 3
    assert [file.read_bytes() for file in (tmp_path / 'cache').iterdir()] == [content] and os.path.isfile(path)


def test_a_later_call_goes_on(site, tmp_path, monkeypatch):
    """What has come stays if it is to be continued, and is not used for another version of the file."""
    monkeypatch.setattr(downloads, '_PAUSE', 0.)
    content, cache = checkpoint(tmp_path, 5.), tmp_path / 'cache'

    def call():
        return download(f'{site.url}/model.pth', cache, progress=False, resume=True)

    def partial():
        return next(path for path in cache.iterdir() if path.suffix == '.pth')

    site.pages['/model.pth'] = in_parts(content, [400] + 5 * [0])
    with pytest.raises(CheckpointError, match='cannot be downloaded: 400 of .* bytes came'):
        call()
    assert partial().read_bytes() == content[:400]
    sent = []
    site.pages['/model.pth'] = lambda handler: (sent.append(handler.headers.get('Range')),
                                                in_parts(content, [])(handler))
    assert open(call(), 'rb').read() == content and sent == ['bytes=400-'] and len(list(cache.iterdir())) == 1

    newer = checkpoint(tmp_path, 6.)
    os.remove(call())
    site.pages['/model.pth'] = in_parts(content, [400] + 5 * [0])
    with pytest.raises(CheckpointError):
        call()
    site.pages['/model.pth'] = in_parts(newer, [], tag='"v2"')
    assert open(call(), 'rb').read() == newer

    os.remove(call())
    site.pages['/model.pth'] = in_parts(content, [400] + 5 * [0])
    with pytest.raises(CheckpointError):
        call()
    partial().write_bytes(content)  # as if it had been killed behind the last byte
    site.pages['/model.pth'] = in_parts(content, [])
    assert open(call(), 'rb').read() == content and len(list(cache.iterdir())) == 1


def test_servers_that_cannot_continue(site, tmp_path):
    site.pages['/model.pth'] = in_parts(checkpoint(tmp_path, 5.), [400], ranges=False)
    with pytest.raises(CheckpointError, match='400 of'):
        download(f'{site.url}/model.pth', tmp_path / 'cache', progress=False, resume=True)
    assert len(site.requests) == 1 and not list((tmp_path / 'cache').iterdir())


def test_checksums(site, tmp_path):
    content = site.pages['/model.pth'] = checkpoint(tmp_path, 5.)
    expected = hashlib.sha256(content).hexdigest()
    with pytest.raises(CheckpointError, match='model.pth" has not the expected checksum sha256:1234'):
        download(f'{site.url}/model.pth', tmp_path / 'cache', progress=False, checksum='sha256:1234')
    assert not list((tmp_path / 'cache').iterdir())
    download(f'{site.url}/model.pth', tmp_path / 'cache', progress=False, checksum=f'sha256:{expected[:8]}')
