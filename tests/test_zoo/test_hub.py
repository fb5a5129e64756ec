# Copyright (c) The mmvc contributors. All rights reserved.
"""The real client of the hub with a server that speaks its protocol."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest

from mmvc.utils.errors import CheckpointError
from mmvc.zoo.addresses import HubFile
from mmvc.zoo.hub import content_is_intact, fetch_hub_file
from tests.helpers.hub_server import COMMIT, hub_server
from tests.helpers.published import use_endpoint, use_own_cache

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 400
REPO = 'someone/models'
NAME = 'weights/offline_r50_vspw_486.pth'
FILE = HubFile(REPO, NAME, COMMIT)
LABEL = 'weights "tiny"'


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_server() as server:
        use_own_cache(monkeypatch, tmp_path, server.url)
        monkeypatch.setattr(time, 'sleep', lambda seconds: None)  # the client waits before it tries again
        monkeypatch.setattr(huggingface_hub.constants, 'DOWNLOAD_CHUNK_SIZE', 10_000)  # what is kept is whole chunks
        server.files[REPO, NAME] = CONTENT
        yield server


def error_of(file=FILE, label=LABEL):
    with pytest.raises(CheckpointError) as caught:
        fetch_hub_file(file, label)
    message = str(caught.value)
    assert '\n' not in message and message.startswith(f'{label}: ') and file.repo in message
    return message


@pytest.mark.parametrize('revision', ['main', COMMIT])
def test_the_file_comes_once(hub, tmp_path, revision):
    file = HubFile(REPO, NAME, revision)
    path = fetch_hub_file(file, LABEL)
    assert path.read_bytes() == CONTENT and path.is_relative_to(tmp_path) and content_is_intact(path)
    assert fetch_hub_file(file, LABEL) == path
    assert len(hub.downloads()) == 1
    if revision == COMMIT:
        assert len(hub.requests) == 2  # the second call asks nothing


def test_missing(hub):
    assert 'has no file "nothing.pth". See https://huggingface.co/someone/models/tree/' in error_of(
        HubFile(REPO, 'nothing.pth', COMMIT))
    assert 'has no revision "v9". Check it at https://huggingface.co/' in error_of(HubFile(REPO, NAME, 'v9'))
    message = error_of(HubFile('someone/else', NAME))
    assert f'there is no repository "someone/else" at {hub.url}, or it is private' in message


def test_gated(hub, monkeypatch):
    hub.gated.add(REPO)
    message = error_of()
    assert 'Open https://huggingface.co/someone/models, accept it, and log in' in message and 'HF_TOKEN' in message
    monkeypatch.setenv('HF_TOKEN', 'hf_sesame')
    assert fetch_hub_file(FILE, LABEL).read_bytes() == CONTENT
    assert hub.tokens[-1] == 'Bearer hf_sesame' and 'sesame' not in message


def test_a_broken_transfer_goes_on(hub):
    hub.breaks[:] = [40_000, 20_000]
    assert fetch_hub_file(FILE, LABEL).read_bytes() == CONTENT
    ranges = [request.rpartition(' ')[2] for request in hub.downloads()]
    assert ranges[1:] == ['bytes=40000-', 'bytes=60000-']


def test_a_connection_that_breaks_again_and_again(hub):
    hub.breaks[:] = [40_000] + 20 * [0]
    message = error_of()
    assert 'broke off several times' in message and 'hf download someone/models' in message
    hub.breaks[:] = []
    assert fetch_hub_file(FILE, LABEL).read_bytes() == CONTENT


def test_another_content_than_the_hub_says(hub):
    hub.damage[REPO, NAME] = bytes(len(CONTENT))
    assert not content_is_intact(fetch_hub_file(FILE, LABEL))


def test_no_network(hub, monkeypatch):
    path = fetch_hub_file(HubFile(REPO, NAME), LABEL)
    use_endpoint(monkeypatch, 'http://127.0.0.1:1')
    assert fetch_hub_file(HubFile(REPO, NAME), LABEL) == path  # also of a branch, which may have changed
    other = error_of(HubFile(REPO, 'other.pth'))
    assert 'http://127.0.0.1:1 cannot be reached' in other and 'HF_ENDPOINT' in other
    assert 'hf download someone/models "other.pth" --revision main' in other


def test_attempts_are_reported_once(hub, monkeypatch):
    """Not each of them, with its whole address."""
    use_endpoint(monkeypatch, 'http://127.0.0.1:1')
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger('huggingface_hub')
    logger.addHandler(handler)
    try:
        error_of()
    finally:
        logger.removeHandler(handler)
    assert len(lines) == 1 and lines[0].startswith('http://127.0.0.1:1: ')
    assert lines[0].endswith('. Trying again for about 30 seconds')
    assert not logging.getLogger('huggingface_hub.utils._http').filters


def test_offline(hub, monkeypatch):
    path = fetch_hub_file(FILE, LABEL)
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    before = len(hub.requests)
    assert fetch_hub_file(FILE, LABEL) == path
    message = error_of(HubFile(REPO, 'other.pth', COMMIT))
    assert 'HF_HUB_OFFLINE forbids a download' in message and 'hf download' in message
    assert len(hub.requests) == before


def test_a_server_in_trouble(hub):
    hub.files[REPO, NAME] = 'not bytes'  # the handler fails, and closes the connection without an answer
    assert 'cannot be reached' in error_of() or 'broke off' in error_of()


def test_names_that_the_client_refuses(hub):
    assert 'Check the address, and HF_ENDPOINT' in error_of(HubFile('someone/a--b', NAME))


def test_a_server_that_is_no_hub(hub, monkeypatch):
    hub.files['/api/models/x'] = b''
    use_endpoint(monkeypatch, f'{hub.url}/elsewhere')
    error_of()
    error_of(HubFile(REPO, 'weights/*.pth'))


class TestPattern:
    """A file of which only a part of the name is known."""

    file = HubFile(REPO, 'weights/offline_r50_vspw_*.pth', COMMIT)

    @pytest.mark.parametrize('revision', ['main', COMMIT])
    def test_the_only_one_that_fits(self, hub, monkeypatch, revision):
        file = HubFile(REPO, 'weights/offline_r50_vspw_*.pth', revision)
        hub.files[REPO, 'weights/online_r50_vspw_469.pth'] = hub.files[REPO, 'offline_r50_vspw_1.pth'] = b'other'
        path = fetch_hub_file(file, LABEL)
        assert path.read_bytes() == CONTENT and path.name == Path(NAME).name
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
        before = len(hub.requests)
        assert fetch_hub_file(file, LABEL) == path and len(hub.requests) == before

    def test_none_or_several_fit(self, hub):
        message = error_of(HubFile(REPO, 'weights/offline_vitl_*.pth', COMMIT))
        assert '0 files of someone/models' in message and 'there are offline_r50_vspw_486.pth' in message
        hub.files[REPO, 'weights/offline_r50_vspw_500.pth'] = b'other'
        message = error_of(self.file)
        assert '2 files' in message and 'offline_r50_vspw_500.pth' in message

    def test_nothing_can_be_listed(self, hub, monkeypatch):
        hub.gated.add(REPO)
        assert 'accepted its licence' in error_of(self.file)
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
        assert 'HF_HUB_OFFLINE' in error_of(self.file)
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
        use_endpoint(monkeypatch, 'http://127.0.0.1:1')
        assert 'http://127.0.0.1:1 cannot be reached' in error_of(self.file)


def test_environment_variables(hub, tmp_path):
    """HF_ENDPOINT and HF_HOME, which the client reads when it is imported."""
    program = ('from mmvc.zoo.addresses import HubFile; from mmvc.zoo.hub import fetch_hub_file; '
               f'print(fetch_hub_file(HubFile({REPO!r}, {NAME!r}), "it"))')
    names = ('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_HUB_OFFLINE', 'HF_TOKEN')
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment.update(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / 'home'), PYTHONPATH=str(ROOT))
    output = subprocess.run([sys.executable, '-c', program], env=environment, check=True, stdout=subprocess.PIPE,
                            text=True, cwd=tmp_path).stdout
    path = Path(output.splitlines()[-1])
    assert path.is_relative_to(tmp_path / 'home/hub') and path.read_bytes() == CONTENT
