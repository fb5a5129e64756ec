# Copyright (c) The mmvc contributors. All rights reserved.
"""A server that speaks the chat protocol, with answers or failures as a test wants them."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """Serves ``POST /v1/chat/completions`` on a free port.

    Args:
        reply (Callable): ``(question, picture, number of the request) -> reply``: text to answer, a number to fail
            with as HTTP status, ``(status, bytes)`` for its body, ``('wait', seconds)`` to be slow, ``('drops',
            pause, number)`` to send so many bytes with pauses, or bytes to send as the body.
    """

    def __init__(self, reply: Callable) -> None:
        self.requests = []  # question, picture, headers and time of arrival
        owner = self

        class Handler(BaseHTTPRequestHandler):

            def do_POST(self):  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers['content-length'])))
                assert self.path == '/v1/chat/completions'
                text, image = body['messages'][0]['content']
                picture = base64.b64decode(image['image_url']['url'].split('base64,')[1])
                owner.requests.append(dict(question=text['text'], picture=picture, key=self.headers['authorization'],
                                           model=body['model'], time=time.monotonic(),
                                           options={key: value for key, value in body.items()
                                                    if key not in ('model', 'messages')}))
                self.send_reply(reply(text['text'], picture, len(owner.requests)))

            def send_reply(self, answer):
                status, headers = 200, {}
                if isinstance(answer, tuple) and answer[0] == 'drops':
                    self.send_drops(*answer[1:])
                    return
                if isinstance(answer, tuple) and isinstance(answer[0], int):
                    status, answer = answer
                if isinstance(answer, tuple):
                    time.sleep(answer[1])
                    answer = 'too late'
                if isinstance(answer, int):
                    status, headers = answer, {'retry-after': '0'} if answer == 429 else {}
                    content = json.dumps(dict(error=dict(message=f'failure {answer}'))).encode()
                elif isinstance(answer, bytes):
                    content = answer
                else:
                    message = dict(role='assistant', content=answer)
                    content = json.dumps(dict(
                        id='1', object='chat.completion', created=0, model='toy',
                        choices=[dict(index=0, finish_reason='stop', message=message)])).encode()
                self.send_response(status)
                for name, value in {'content-type': 'application/json', 'content-length': len(content),
                                    **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    pass  # the client did not wait

            def send_drops(self, pause, number):
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):  # the client did not wait
                    for _ in range(number):
                        self.wfile.write(b' ')
                        self.wfile.flush()
                        time.sleep(pause)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}/v1'
        threading.Thread(target=self._server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
