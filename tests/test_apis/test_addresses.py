# Copyright (c) The mmvc contributors. All rights reserved.
"""What is said of an address that cannot be opened, with a real server."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmvc.apis.addresses import why_unreadable
from mmvc.apis.sources import open_sources
from mmvc.utils.errors import UsageError


@pytest.fixture
def serve():
    """Start a server that gives one answer to all; returns its address."""
    servers = []

    def start(content, status=200, kind='video/mp4'):

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header('Content-Type', kind)
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f'http://127.0.0.1:{server.server_port}/clip.mp4'

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize('content, status, kind, message', [
    (b'<!DOCTYPE html><title>A video site</title>', 200, 'text/html; charset=utf-8', 'it is a web page.*yt-dlp'),
    (b'\n<html>', 200, 'video/mp4', 'it is a web page'),
    (b'\0' * 3000, 200, 'video/mp4', 'only from its start.*curl -LO'),
    (b'\0' * 3000, 206, 'video/mp4', 'cannot be decoded.*curl -LO'),
    (b'', 404, 'text/plain', 'the server answers 404 .*check the address'),
    (b'', 403, 'text/plain', 'the server answers 403 .*login')])
def test_reasons(serve, content, status, kind, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_sources(serve(content, status, kind))
    assert '\n' not in str(caught.value)


def test_no_server(serve):
    assert 'check the address and the network' in why_unreadable('http://127.0.0.1:9/clip.mp4')
    assert 'check the address and the network' in why_unreadable('rtsp://127.0.0.1:9/1')
