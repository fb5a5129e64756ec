# Copyright (c) The mmvc contributors. All rights reserved.
"""A server that speaks the protocol of the Hugging Face hub, and of plain file servers, for the real clients."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = '0123456789abcdef0123456789abcdef01234567'


class HubServer:
    """Serves ``/{repo}/resolve/{revision}/{file}`` and ``/api/models/{repo}/tree/{revision}/{folder}``.

    Attributes:
        url (str): Its address.
        files (dict): Content by ``(repo, file)``.
        commit (str): What ``main`` is; a revision of another name does not exist.
        gated (set): Repositories that need a token.
        damage (dict): What is sent instead, by ``(repo, file)``, under the checksum of the right content.
        breaks (list[int]): After how many bytes the connection of each download breaks, while there are entries.
        requests (list[str]): Method and path of each request; ranges stand behind them.
        tokens (list[str]): The ``Authorization`` of each request.
    """

    def __init__(self) -> None:
        self.files, self.damage, self.gated = {}, {}, set()
        self.commit, self.breaks, self.requests, self.tokens = COMMIT, [], [], []
        self.url = ''

    def downloads(self) -> list[str]:
        """The requests for the content of files."""
        return [request for request in self.requests if request.startswith('GET') and '/api/' not in request]


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a :class:`HubServer` on a free port of this machine."""
    hub = HubServer()

    class Handler(BaseHTTPRequestHandler):

        def do_GET(self):  # noqa: N802
            self.answer()

        def do_HEAD(self):  # noqa: N802
            self.answer()

        def answer(self):
            byte_range = self.headers.get('Range')
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f'{self.command} {path}' + (f' {byte_range}' if byte_range else ''))
            hub.tokens.append(self.headers.get('Authorization', ''))
            parts = path.strip('/').split('/')
            if parts[:2] == ['api', 'models']:
                self.send_tree('/'.join(parts[2:4]), parts[5], '/'.join(parts[6:]))
            elif len(parts) > 4 and parts[2] == 'resolve':
                self.send_file('/'.join(parts[:2]), parts[3], '/'.join(parts[4:]))
            else:
                self.send_content(hub.files.get(path), byte_range, {})

        def refuses(self, repo, revision):
            if repo in hub.gated and not self.headers.get('Authorization'):
                return self.fail(401, 'GatedRepo')
            if repo not in {name for name, *_ in hub.files}:
                return self.fail(404, 'RepoNotFound')
            if revision not in ('main', hub.commit):
                return self.fail(404, 'RevisionNotFound')
            return False

        def send_tree(self, repo, revision, folder):
            if self.refuses(repo, revision):
                return
            entries = [dict(type='file', path=file, size=len(content), oid='0' * 40)
                       for (name, file), content in hub.files.items()
                       if name == repo and file.rpartition('/')[0] == folder]
            content = json.dumps(entries).encode()
            self.send_response(200)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send_file(self, repo, revision, file):
            if self.refuses(repo, revision):
                return
            content = hub.files.get((repo, file))
            if content is None:
                self.fail(404, 'EntryNotFound')
                return
            tag = hashlib.sha256(content).hexdigest()
            self.send_content(hub.damage.get((repo, file), content), self.headers.get('Range'), {
                'X-Repo-Commit': hub.commit, 'X-Linked-Size': str(len(content)), 'X-Linked-Etag': f'"{tag}"',
                'ETag': f'"{tag}"'})

        def send_content(self, content, byte_range, headers):
            if content is None:
                self.fail(404, '')
                return
            start = int(byte_range[6:].split('-')[0]) if byte_range else 0
            self.send_response(206 if start else 200)
            self.send_header('Content-Length', str(len(content) - start))
            self.send_header('Accept-Ranges', 'bytes')
            for name, value in (headers or {'ETag': f'"{hashlib.md5(content).hexdigest()}"'}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == 'GET':
                end = start + hub.breaks.pop(0) if hub.breaks else len(content)
                self.wfile.write(content[start:end])

        def fail(self, status, code):
            self.send_response(status)
            if code:
                self.send_header('X-Error-Code', code)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    hub.url = f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
