# Copyright (c) The mmvc contributors. All rights reserved.
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmvc import __version__
from mmvc.commands.dispatch import COMMANDS, find_command, main

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command(capsys):
    main([])
    listed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert re.search(rf'^  {name} +{re.escape(command.summary)}$', listed, re.MULTILINE)
    main(['--version'])
    assert capsys.readouterr().out == f'mmvc {__version__}\n'


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_a_command_names_it(name, capsys):
    """Usage and examples show the command as it was typed."""
    with pytest.raises(SystemExit) as caught:
        main([*name.split(), '--help'])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f'usage: mmvc {name} ')
    assert f'  mmvc {name} ' in shown.split('examples:')[1]
    assert '%' not in re.sub(r'\d+ ?%', '', shown)


@pytest.mark.parametrize('words, message', [
    (['trian', 'x.py'], 'did you mean train?'),
    (['zzz'], 'mmvc --help lists the commands'),
    (['convert'], '"convert" needs a second word: mmvc convert '),
    (['convert', '--help'], '"convert" needs a second word: mmvc convert '),
    (['convert', 'kitti', 'a'], 'there is no "mmvc convert kitti", only these: mmvc convert '),
])
def test_unknown_commands(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_arguments_go_to_the_command():
    assert find_command(['convert', 'vspw', 'a', '-x']) == ('convert vspw', ['a', '-x'])
    assert find_command(['train', 'vspw']) == ('train', ['vspw'])


def test_tools_call_the_commands():
    """A script in `tools` of a command holds nothing but the call, so that both are one code path."""
    called = {}
    for path in ROOT.glob('tools/**/*.py'):
        text = path.read_text(encoding='utf-8')
        if found := re.search(r'from (mmvc\.commands\.\w+) import main', text):
            assert 'def ' not in text and f"prog='python {path.relative_to(ROOT).as_posix()}'" in text
            called[found[1]] = path
    without_script = {'mmvc.apis.cli', 'mmvc.commands.demo', 'mmvc.commands.models'}
    assert set(called) == {command.module for command in COMMANDS.values()} - without_script
    for module in called:
        assert callable(importlib.import_module(module).main)


def test_a_script_in_the_parent_folder_imports_the_package(tmp_path):
    """The folder of a clone has the name of the package; it must not hide the package as an empty namespace."""
    (tmp_path / 'mmvc').symlink_to(ROOT)
    (tmp_path / 'script.py').write_text('import mmvc\nprint(mmvc.__version__)')
    listed = subprocess.run([sys.executable, '-c', 'import sys; print(*sys.path, sep="\\n")'], cwd=tmp_path,
                            capture_output=True, text=True, env={'PATH': ''}, check=True).stdout
    if str(ROOT) not in listed.splitlines():
        pytest.skip('this tree is not installed in the environment')
    for words in (['script.py'], ['-m', 'mmvc', '--version']):
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, env={'PATH': ''})
        assert done.returncode == 0, done.stderr
        assert __version__ in done.stdout
