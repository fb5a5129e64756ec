# Copyright (c) The mmvc contributors. All rights reserved.
"""The command that serves the page: its errors, and what it does around the page."""

import os
import subprocess
import sys
import threading
import types
from importlib.util import find_spec

import pytest

from mmvc.commands import demo
from tests.helpers.tiny_inference import save_tiny_checkpoint


@pytest.fixture
def packages(monkeypatch):
    """Sets which of the packages of the page are installed."""

    def install(*names):
        monkeypatch.setattr(demo, 'find_spec', lambda name: object() if name in names else None)

    return install


@pytest.fixture
def page(monkeypatch, packages):
    """A page without Gradio; notes what the command asks for, and ends at once."""
    packages('gradio', 'av')
    for name in ('GRADIO_ANALYTICS_ENABLED', 'GRADIO_TEMP_DIR', 'no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, '')
    seen = types.SimpleNamespace(closed=False)

    def build_page(shelf, folder, max_frames):
        seen.update = dict(shelf=shelf, folder=folder, max_frames=max_frames)
        return types.SimpleNamespace(close=lambda verbose: setattr(seen, 'closed', True))

    def launch(page, host, port, max_upload, open_browser):
        seen.launched = host, port, max_upload, open_browser
        seen.environment = dict(os.environ)
        assert os.path.isdir(seen.update['folder'])
        return f'http://{host}:{port or 7860}/'

    module = types.ModuleType('mmvc.page.blocks')
    module.build_page, module.launch = build_page, launch
    monkeypatch.setitem(sys.modules, 'mmvc.page.blocks', module)
    ended = threading.Event()
    ended.set()
    serve = demo.serve
    monkeypatch.setattr(demo, 'serve', lambda args, folder: serve(args, folder, ended))
    return seen


@pytest.fixture
def checkpoint(tmp_path):
    return lambda: save_tiny_checkpoint(tmp_path / 'tiny.pth')


def error_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        demo.main([str(argument) for argument in arguments])
    return str(caught.value.code)


def test_it_serves_until_it_is_ended(page, checkpoint, capsys):
    demo.main([str(checkpoint()), '--device', 'cpu', '--port', '8000', '--max-upload', '7', '--max-frames', '5',
               '--open'])
    assert page.launched == ('127.0.0.1', 8000, 7, True) and page.update['max_frames'] == 5
    assert page.update['shelf'].names == ['tiny.pth'] and page.closed
    assert not os.path.exists(page.update['folder']), 'temporary files are gone'
    out = capsys.readouterr().out
    assert 'the page is at http://127.0.0.1:8000/ (Ctrl-C ends it)' in out and 'no password' not in out


def test_published_models_by_default(page, monkeypatch, capsys):
    """None is loaded before it is chosen: it may have gigabytes."""
    monkeypatch.setattr('mmvc.page.models.load_inferencer', lambda *model, **options: pytest.fail('it is loaded'))
    demo.main(['--device', 'cpu'])
    names = page.update['shelf'].names
    assert names == demo.published_models() and 'dvispp_vitl_vspw_offline' in names
    assert 'loading' not in capsys.readouterr().out


def test_nothing_leaves_the_machine(page, checkpoint):
    demo.main([str(checkpoint()), '--device', 'cpu'])
    assert page.launched == ('127.0.0.1', None, 500, False)
    assert page.environment['GRADIO_ANALYTICS_ENABLED'] == 'False'
    assert page.environment['GRADIO_TEMP_DIR'] == os.path.join(page.update['folder'], 'gradio')
    assert '127.0.0.1' in page.environment['no_proxy'].split(',')


def test_other_machines(page, checkpoint, capsys):
    demo.main([str(checkpoint()), '--device', 'cpu', '--host', '0.0.0.0'])
    assert 'other machines can reach it, and there is no password' in capsys.readouterr().out


@pytest.mark.parametrize('there, missing', [((), 'gradio and PyAV, which writes H.264'), (('av', ), 'gradio'),
                                            (('gradio', ), 'PyAV, which writes H.264')])
def test_missing_packages(packages, tmp_path, there, missing):
    packages(*there)
    assert error_of(tmp_path / 'any.pth') == f'error: the page needs {missing}: pip install "mmvc[page]"'


def test_models_that_cannot_be_loaded(page, tmp_path):
    assert 'absent.pth" does not exist' in error_of(tmp_path / 'absent.pth')
    (tmp_path / 'login.pth').write_text('<html>')
    assert 'login.pth" is a web page, not a checkpoint' in error_of(tmp_path / 'login.pth', '--device', 'cpu')
    assert not hasattr(page, 'launched')


@pytest.mark.parametrize('arguments', [('x.pth', '--port', '0'), ('x.pth', '--port', '70000'),
                                       ('x.pth', '--max-upload', '0'), ('x.pth', '--max-frames', '1.5')])
def test_wrong_arguments(arguments, capsys):
    assert error_of(*arguments) == '2'
    assert 'usage:' in capsys.readouterr().err


def test_help_teaches_and_imports_little(capsys):
    assert error_of('--help') == '0'
    out = capsys.readouterr().out
    assert 'examples:' in out and '--max-upload MIB' in out
    code = ('import sys; from mmvc.commands.demo import build_parser; build_parser(); '
            'assert not {"gradio", "mmvc.engine", "mmvc.apis", "mmdet"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.skipif(find_spec('gradio') is not None, reason='Gradio is installed')
def test_without_gradio_in_a_process_of_its_own(tmp_path):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-m', 'mmvc.commands.demo', str(tmp_path / 'any.pth')],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: the page needs gradio')
