# Copyright (c) The mmvc contributors. All rights reserved.
"""The page, with Gradio if it is there, and its handlers with a stand-in that knows the names that they use."""

import importlib
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmvc.page.models import ModelShelf
from mmvc.utils.errors import UsageError


class Part:
    """Any component: keeps its arguments, notes what is connected to it, and can be entered as a layout."""

    made: list = []

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs, self.connected = args, kwargs, []
        Part.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def click(self, handler, inputs=None, outputs=None, **options):
        self.connected.append(SimpleNamespace(handler=handler, inputs=inputs, outputs=outputs, options=options))


class Blocks(Part):
    error = None

    def unload(self, handler):
        self.unloaded = handler

    def queue(self, max_size=None, default_concurrency_limit='not_set'):
        self.limits = max_size, default_concurrency_limit
        return self

    def launch(self, server_name=None, server_port=None, share=None, inbrowser=False, prevent_thread_lock=False,
               quiet=False, ssr_mode=None, enable_monitoring=None, max_file_size=None, show_api=True):
        """With the arguments of Gradio 5 that the page uses."""
        if self.error is not None:
            raise self.error
        self.launched = dict(server_name=server_name, server_port=server_port, share=share, ssr_mode=ssr_mode,
                             max_file_size=max_file_size, prevent_thread_lock=prevent_thread_lock)
        return None, f'http://{server_name}:{server_port}/', None

    def close(self, verbose=True):
        self.closed = True


class Blocks6(Blocks):

    def launch(self, server_name=None, server_port=None, share=None, inbrowser=False, prevent_thread_lock=False,
               quiet=False, ssr_mode=None, enable_monitoring=None, max_file_size=None, footer_links=None, theme=None):
        """With the arguments of Gradio 6 that the page uses: the theme moved here."""
        self.kwargs.update(theme=theme)
        return super().launch(server_name, server_port, share, inbrowser, prevent_thread_lock, quiet, ssr_mode,
                              enable_monitoring, max_file_size)


class Progress:

    def __init__(self):
        self.calls = []

    def __call__(self, progress, desc=None, total=None, unit='steps'):
        self.calls.append((progress, desc))


class Error(Exception):

    def __init__(self, message='Error raised.', duration=10, visible=True, title='Error', print_exception=True):
        super().__init__(message)
        self.duration, self.print_exception = duration, print_exception


@pytest.fixture(params=[Blocks, Blocks6], ids=['Gradio 5', 'Gradio 6'])
def blocks(request, monkeypatch):
    """The module of the page, with the stand-in."""
    gradio = types.ModuleType('gradio')
    for name in ('Markdown', 'Row', 'Column', 'Video', 'Dropdown', 'Radio', 'Button', 'DownloadButton', 'Dataframe'):
        setattr(gradio, name, type(name, (Part, ), {}))
    gradio.Blocks, gradio.Progress, gradio.Error, gradio.Request = request.param, Progress, Error, SimpleNamespace
    gradio.themes = SimpleNamespace(Default=lambda font, font_mono: dict(font=font, font_mono=font_mono))
    monkeypatch.setitem(sys.modules, 'gradio', gradio)
    monkeypatch.delitem(sys.modules, 'mmvc.page.blocks', raising=False)
    monkeypatch.setattr(Part, 'made', [])
    yield importlib.import_module('mmvc.page.blocks')
    sys.modules.pop('mmvc.page.blocks', None)


@pytest.fixture
def page(blocks, inferencer, tmp_path):
    """The page and its parts by the id in the document."""
    (tmp_path / 'files').mkdir()
    page = blocks.build_page(ModelShelf(['tiny'], load=lambda model, config: inferencer('vps')), tmp_path / 'files')
    page.parts = {part.kwargs['elem_id']: part for part in Part.made if 'elem_id' in part.kwargs}
    return page


TAB = SimpleNamespace(session_hash='tab')


def test_layout(page):
    event, = page.parts['segment'].connected
    ids = [[part.kwargs['elem_id'] for part in parts] for parts in (event.inputs, event.outputs)]
    assert ids == [['input-video', 'model', 'output'], ['result-video', 'classes', 'tracks', 'download', 'summary']]
    assert event.options == dict(concurrency_limit=1) and page.limits == (20, 1)
    assert page.kwargs['analytics_enabled'] is False and page.kwargs['delete_cache'] == (3600, 3600)
    assert page.parts['input-video'].kwargs['sources'] == ['upload', 'webcam']
    cancel, = page.parts['cancel'].connected
    assert cancel.options == dict(queue=False) and page.unloaded is cancel.handler


def test_a_job(page, clip, tmp_path):
    progress = Progress()
    values = page.parts['segment'].connected[0].handler(str(clip), 'tiny', 'overlay', TAB, progress)
    video, classes, tracks, download, summary = next(values)
    assert Path(video).is_file() and Path(download.kwargs['value']).suffix == '.zip' and download.kwargs['interactive']
    assert classes and tracks and '12 frames' in summary
    assert (None, 'load tiny') in progress.calls and any(desc.endswith('segment') for _, desc in progress.calls)
    assert next(values, None) is None
    assert not list((tmp_path / 'files').iterdir()), 'the files of the job are gone'


def test_cancel(page, clip, tmp_path):
    progress = Progress()
    cancel = page.parts['cancel'].connected[0].handler
    progress.calls = SimpleNamespace(append=lambda call: cancel(TAB) if call[0] else None)
    values = page.parts['segment'].connected[0].handler(str(clip), 'tiny', 'overlay', TAB, progress)
    video, classes, tracks, download, summary = next(values)
    assert summary == 'Cancelled.' and video is None and download.kwargs == dict(value=None, interactive=False)
    assert next(values, None) is None and not list((tmp_path / 'files').iterdir())
    cancel(SimpleNamespace(session_hash='another tab'))


def test_errors_of_the_user_are_shown(page, tmp_path):
    handler = page.parts['segment'].connected[0].handler
    with pytest.raises(Error, match='Drop or record a video first'):
        next(handler(None, 'tiny', 'overlay', TAB, Progress()))
    (tmp_path / '<b>text.mp4').write_text('no video')
    with pytest.raises(Error, match='&lt;b&gt;text.mp4') as caught:
        next(handler(str(tmp_path / '<b>text.mp4'), 'tiny', 'overlay', TAB, Progress()))
    assert caught.value.duration is None and not caught.value.print_exception and '<' not in str(caught.value)
    assert not list((tmp_path / 'files').iterdir())


def test_launch(blocks, page):
    assert ('theme' in page.kwargs) == (type(page) is Blocks)
    assert blocks.launch(page, '127.0.0.1', 8000, 7) == 'http://127.0.0.1:8000/'
    assert page.launched == dict(server_name='127.0.0.1', server_port=8000, share=False, ssr_mode=False,
                                 max_file_size=7 * 2**20, prevent_thread_lock=True)
    assert page.kwargs['theme'] == dict(font=('system-ui', 'sans-serif'), font_mono=('ui-monospace', 'monospace'))
    page.error = OSError('Cannot find empty port in range: 8000-8000.')
    with pytest.raises(UsageError, match='127.0.0.1, port 8000: Cannot find empty port.*another --port'):
        blocks.launch(page, '127.0.0.1', 8000, 7)


def test_with_gradio(inferencer, tmp_path):
    """The real page answers, with its own fonts, and takes no file beyond the limit."""
    pytest.importorskip('gradio')
    pytest.importorskip('av')
    from urllib.request import urlopen

    from mmvc.page.blocks import build_page, launch
    page = build_page(ModelShelf(['tiny'], load=lambda model, config: inferencer()), tmp_path)
    try:
        address = launch(page, '127.0.0.1', None, 7)
        assert address.startswith('http://127.0.0.1:')
        with urlopen(address) as reply:
            assert reply.status == 200
        with urlopen(f'{address.rstrip("/")}/theme.css') as reply:
            css = reply.read().decode()
        assert 'system-ui' in css and 'fonts.googleapis' not in css
        assert page.max_file_size == 7 * 2**20 and page.share_url is None and not page.analytics_enabled
    finally:
        page.close(verbose=False)
