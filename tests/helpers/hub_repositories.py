# Copyright (c) The mmvc contributors. All rights reserved.
"""A small server that speaks the protocol of the Hugging Face Hub, for the real client: uploads and downloads.

It knows repositories of models, branches, tokens, gated and private repositories, git files and LFS files. It does not
know Xet, so tests switch that off (``HF_HUB_DISABLE_XET``).
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

#: the only token that may write
TOKEN = 'hf_testtokenthatmaywrite'
USER = 'alice'


@dataclass
class Repository:
    """A repository of the server.

    Args:
        revisions (dict): Content of the files, by branch, tag or commit, and by path.
        private (bool): Whether it is invisible without :data:`TOKEN`.
        gated (bool): Whether files are refused without :data:`TOKEN`.
        lfs (set): SHA-256 of the files that are kept as LFS objects.
        messages (list): First lines of the commits.
    """
    revisions: dict[str, dict[str, bytes]] = field(default_factory=lambda: dict(main={}))
    private: bool = False
    gated: bool = False
    lfs: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)

    def commit_of(self, revision: str) -> str:
        """Hexadecimal id of a branch's newest commit, which depends on its content only."""
        if re.fullmatch('[0-9a-f]{40}', revision):
            return revision
        files = sorted((name, hashlib.sha1(content).hexdigest()) for name, content in self.revisions[revision].items())
        return hashlib.sha1(repr(files).encode()).hexdigest()

    def files(self, revision: str) -> dict[str, bytes] | None:
        """Content of a branch or commit by path; None if there is none."""
        for name, files in self.revisions.items():
            if revision in (name, self.commit_of(name)):
                return files
        return None


class Hub(ThreadingHTTPServer):
    """The server. ``repositories`` are its content, ``requests`` what was asked for: ``'GET /path'``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args: object) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get('Content-Length') or 0))

    def _send(self, status: int, content: bytes = b'', headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {'Content-Length': str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(content)

    def _json(self, content: object, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {'Content-Type': 'application/json'})

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send(status, json.dumps(dict(error=message)).encode(),
                   {'X-Error-Code': code, 'X-Error-Message': message, 'Content-Type': 'application/json'})

    @property
    def _may_write(self) -> bool:
        return self.headers.get('Authorization') == f'Bearer {TOKEN}'

    def _repository(self, name: str) -> Repository | None:
        found = self.server.repositories.get(name)
        if found is None or (found.private and not self._may_write):
            self._refuse(404 if self._may_write else 401, 'RepoNotFound', 'Repository not found')
            return None
        return found

    def _note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f'{self.command} {path}')
        return path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._note()
        if path == '/api/whoami-v2':
            if self._may_write:
                return self._json(dict(name=USER, type='user', orgs=[], auth=dict(accessToken=dict(role='write'))))
            return self._refuse(401, '', 'Invalid username or password')
        if match := re.fullmatch(r'/api/models/([^/]+/[^/]+)(?:/revision/(.+))?', path):
            return self._get_info(match[1], match[2] or 'main')
        if match := re.fullmatch(r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', path):
            return self._get_file(*match.groups())
        self._refuse(404, '', f'no such page: {path}')

    def _get_info(self, name: str, revision: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        files = repository.files(revision)
        if files is None:
            return self._refuse(404, 'RevisionNotFound', f'Invalid rev id: {revision}')
        self._json(dict(id=name, modelId=name, sha=repository.commit_of(revision), private=repository.private,
                        gated='manual' if repository.gated else False, tags=[],
                        siblings=[dict(rfilename=file) for file in files]))

    def _get_file(self, name: str, revision: str, file: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        files = repository.files(revision)
        if files is None:
            return self._refuse(404, 'RevisionNotFound', f'Invalid rev id: {revision}')
        if repository.gated and not self._may_write:
            return self._refuse(401, 'GatedRepo', 'Access to this model is restricted')
        headers = {'X-Repo-Commit': repository.commit_of(revision), 'Accept-Ranges': 'bytes'}
        if file not in files:
            return self._send(404, b'Entry not found', {'X-Error-Code': 'EntryNotFound',
                                                        'X-Error-Message': 'Entry not found', **headers})
        content = files[file]
        digest = hashlib.sha256(content).hexdigest()
        headers['ETag'] = f'"{digest if digest in repository.lfs else hashlib.sha1(content).hexdigest()}"'
        headers['X-Linked-Size'] = str(len(content))
        headers['X-Linked-Etag'] = headers['ETag']
        start = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range') or '')
        if start and self.command == 'GET':
            headers['Content-Range'] = f'bytes {start[1]}-{len(content) - 1}/{len(content)}'
            return self._send(206, content[int(start[1]):], headers)
        self._send(200, content, headers)

    def do_PUT(self) -> None:
        """Takes the content of an LFS object."""
        path, content = self._note(), self._body()
        oid = path.rpartition('/')[2]
        if hashlib.sha256(content).hexdigest() != oid:
            return self._refuse(400, '', 'the content has another SHA-256')
        self.server.objects[oid] = content
        self._send(200)

    def do_POST(self) -> None:
        path, body = self._note(), self._body()
        if path == '/api/validate-yaml':
            return self._json(dict(errors=[], warnings=[]))
        if not self._may_write:
            return self._refuse(401, '', 'Invalid username or password')
        if path == '/api/repos/create':
            return self._create(json.loads(body))
        if match := re.fullmatch(r'/api/models/([^/]+/[^/]+)/preupload/(.+)', path):
            return self._json(dict(files=[
                dict(path=file['path'], shouldIgnore=False,
                     uploadMode='lfs' if file['path'].endswith('.safetensors') else 'regular')
                for file in json.loads(body)['files']]))
        if match := re.fullmatch(r'/([^/]+/[^/]+)\.git/info/lfs/objects/batch', path):
            return self._json(dict(transfer='basic', objects=[
                dict(file, **({} if file['oid'] in self.server.objects else dict(actions=dict(
                    upload=dict(href=f'{self.server.url}/objects/{file["oid"]}')))))
                for file in json.loads(body)['objects']]))
        if match := re.fullmatch(r'/api/models/([^/]+/[^/]+)/commit/(.+)', path):
            return self._commit(match[1], match[2], [json.loads(line) for line in body.splitlines()],
                                'create_pr=1' in urlsplit(self.path).query)
        self._refuse(404, '', f'no such page: {path}')

    def _create(self, wanted: dict) -> None:
        name = f'{wanted.get("organization") or USER}/{wanted["name"]}'
        url = f'{self.server.url}/{name}'
        if name in self.server.repositories:
            return self._json(dict(error='You already created this model repo', url=url), 409)
        if not name.startswith(f'{USER}/'):
            return self._refuse(403, '', 'You don\'t have the rights to create a model under this namespace')
        self.server.repositories[name] = Repository(
            private=wanted.get('visibility') == 'private' or bool(wanted.get('private')))
        self._json(dict(url=url, name=name))

    def _commit(self, name: str, revision: str, lines: list[dict], as_request: bool) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        if revision not in repository.revisions:
            return self._refuse(404, 'RevisionNotFound', f'Invalid rev id: {revision}')
        files = dict(repository.revisions[revision])
        for line in lines:
            value = line['value']
            if line['key'] == 'header':
                repository.messages.append(value['summary'])
            elif line['key'] == 'file':
                files[value['path']] = base64.b64decode(value['content'])
            elif line['key'] == 'lfsFile':
                files[value['path']] = self.server.objects[value['oid']]
                repository.lfs.add(value['oid'])
            elif line['key'] == 'deletedFile':
                del files[value['path']]
        branch = 'refs/pr/1' if as_request else revision
        repository.revisions[branch] = files
        oid = repository.commit_of(branch)
        page = f'{self.server.url}/{name}'
        self._json(dict(success=True, commitUrl=f'{page}/commit/{oid}', commitOid=oid, hookOutput='',
                        **(dict(pullRequestUrl=f'{page}/discussions/1') if as_request else {})))


@contextmanager
def serve_hub(monkeypatch: pytest.MonkeyPatch, cache: str) -> Iterator[Hub]:
    """Run the server, and make the client in this process use it.

    Args:
        monkeypatch (MonkeyPatch): Undoes the changes to the client's settings.
        cache (str): Folder of the client's downloads.

    Yields:
        Hub: The server.
    """
    import huggingface_hub.constants as settings
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True)
        thread.start()
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        for name, value in dict(ENDPOINT=server.url, HF_HUB_DISABLE_XET=True, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=False,
                                HF_HUB_DISABLE_PROGRESS_BARS=True, HF_TOKEN_PATH=f'{cache}/token',
                                HUGGINGFACE_CO_URL_TEMPLATE=server.url + '/{repo_id}/resolve/{revision}/{filename}'
                                ).items():
            monkeypatch.setattr(settings, name, value)
        for name in ('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.shutdown()
        thread.join()
