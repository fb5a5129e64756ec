# Copyright (c) The mmvc contributors. All rights reserved.
"""Every command of the documentation: what it names exists, its options are those of the tool, and it runs.

A command is run in a folder of generated data and configs in miniature (``reduced.py``), unless a comment in its line,
or one on a line of its own above it in the same block, says what it needs: ``# needs data``, ``# needs GPUs, time``.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from mmengine.config import Config

from mmvc.commands.dispatch import find_command
from mmvc.utils.config_names import config_files
from tests.helpers.doc_commands import COMMANDS, NEEDS, PAGES, ROOT, Command, commands_of, marks
from tests.helpers.reduced import TRAINING, TRAINING_BY_COMMAND, reduce

OWN_FOLDERS = ('benchmarks/', 'configs/', 'demo/', 'requirements/', 'tests/', 'tools/')
#: configs that only the reader has, or that a page has just written
OWN_CONFIGS = re.compile(r'configs/\S*(NAME|kitchen|cups|park)\S*')
#: what `--cfg-options` may name although no config has it
NEW_KEYS = ('runner_type', 'strategy')
#: takes the place of CONFIG
ANY_CONFIG = 'configs/mvc/dvispp_r50_vspw.py'
FAKE = '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n'


def ids(commands):
    return [f'{command.page}:{command.line}' for command in commands]


def each(commands):
    return pytest.mark.parametrize('command', commands, ids=ids(commands))


def of(*programs):
    return [command for command in COMMANDS if command.words[0] in programs]


def test_there_are_commands():
    pages = {command.page for command in COMMANDS}
    assert {'README.md', 'docs/en/get_started.md', 'docs/en/train_test.md', 'docs/en/reliability.md'} <= pages
    assert len(COMMANDS) > 100


def test_marks_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr('tests.helpers.doc_commands.ROOT', tmp_path)
    page = tmp_path / 'page.md'
    page.write_text('Text with `make docs` in it.\n\n'
                    '    python a.py \\\n        --b  # c; needs data\n    make test  # d\n\n'
                    '```bash\n# needs GPUs and time\nA=1 bash b.sh\nbash c.sh  # eight GPUs\n```\n\n    bash d.sh\n')
    commands = commands_of(page)
    assert [(command.line, command.text, command.needs, command.inline) for command in commands] == [
        (1, 'make docs', (), True), (3, 'python a.py --b', ('data', ), False), (5, 'make test', (), False),
        (9, 'bash b.sh', ('GPUs', 'time'), False), (10, 'bash c.sh', ('GPUs', 'time'), False),
        (13, 'bash d.sh', (), False)]
    assert commands[3].environment == dict(A='1')
    assert marks('x  # needs weights, data and time') == ('weights', 'data', 'time')


@each([command for command in COMMANDS if command.needs])
def test_a_mark_names_what_there_is_a_word_for(command):
    assert set(command.needs) <= set(NEEDS)


@each(COMMANDS)
def test_files_exist(command):
    for word in command.words:
        for part in word.split('='):
            if part.startswith(OWN_FOLDERS) and not OWN_CONFIGS.fullmatch(part):
                assert (ROOT / part).exists(), f'{part} does not exist'


@lru_cache(maxsize=None)
def config(name):
    return Config.fromfile(str(ROOT / name))


def check_python(parse, command):
    """The tool accepts the arguments; overrides are of entries that the config has."""
    if command.words[1:3] == ('-m', 'pytest') or command.words[1] == '-c':
        return
    is_command = command.words[1:3] == ('-m', 'mmvc')
    if is_command and command.words[3].startswith('-'):
        return  # of mmvc itself
    if is_command:
        find_command(command.words[3:])
    if command.inline and len(command.words) <= (5 if is_command else 3):
        return  # a name in a sentence
    words = tuple(ANY_CONFIG if re.fullmatch('CONFIG(_[A-Z])?', word) else word for word in command.words)
    args = parse(command._replace(words=words))
    segments = command.words[1:3] == ('-m', 'mmvc.apis') or command.words[3:4] == ('segment', )
    if segments and args.model and not args.model.endswith('.onnx'):  # a graph that another command writes
        assert args.model in config_files(), f'there is no config {args.model}'
    overrides = [key.split('.') for key in getattr(args, 'cfg_options', None) or ()]
    for first, *rest in overrides:
        if first in NEW_KEYS:
            continue
        named = getattr(args, 'config', '')
        entry = config(named if (ROOT / named).is_file() else ANY_CONFIG)
        for key in [first, *rest[:-1]]:
            assert key in entry, f'the config has no {key} to override in {first}.{".".join(rest)}'
            entry = entry[key]


@each(of('python'))
def test_python_options(parse, command):
    check_python(parse, command)


@pytest.mark.parametrize('words, message', [
    ('tools/train.py CONFIG --no-such-option', '--no-such-option'),
    ('tools/train.py CONFIG --stages', '--stages'),
    ('tools/evaluate.py vss --pred PRED --gt data --workers many', '--workers'),
    ('tools/evaluate.py vds --pred PRED --gt data', 'vds'),
    ('benchmarks/metrics.py --frames 3', '--frames'),
    ('-m mmvc.apis VIDEO --model mvc/no_such_config', 'no_such_config'),
    ('-m mmvc segment VIDEO --model mvc/no_such_config', 'no_such_config'),
    ('-m mmvc segment VIDEO --no-such-option', '--no-such-option'),
    ('tools/train.py CONFIG --cfg-options optim_wraper.optimizer.lr=1', 'optim_wraper'),
    ('tools/test.py configs/mvc/dvispp_r18_camvid.py A --cfg-options model.trakcer.num_layers=1', 'trakcer'),
])
def test_mistakes_are_found(parse, capsys, words, message):
    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        check_python(parse, Command('page', 1, ('python', *words.split()), {}, (), False))
    assert message in str(caught.value) + capsys.readouterr().err


@pytest.mark.parametrize('word', ['configs/mvc/no_config.py', 'tools/no_such_tool.py', 'requirements/nothing.txt'])
def test_missing_files_are_found(word):
    with pytest.raises(AssertionError, match='does not exist'):
        test_files_exist(Command('page', 1, ('python', word), {}, (), False))


def is_gpu_check(command):
    return command.words[1] == 'benchmarks/gpu_check.sh'


@each([command for command in of('bash') if is_gpu_check(command)])
def test_gpu_check_options(parse, command):
    """The script passes its options to this module."""
    parse(command._replace(words=('python', '-m', 'benchmarks.gpu_check', *command.words[2:])))


@each([command for command in of('bash') if not is_gpu_check(command)])
def test_launchers(parse, command, tmp_path, monkeypatch):
    """The script ends in one call of torchrun or srun, with the arguments for the tool that it launches."""
    for name in ('python', 'srun'):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    environment = dict(os.environ, PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON='python', **command.environment)
    done = subprocess.run(command.words, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    script = next(number for number, word in enumerate(words) if re.fullmatch(r'.*tools/(train|test)\.py', word))
    assert words[:2] == ['-m', 'torch.distributed.run'] or words[0] == '--partition'
    name = f'tools/{Path(words[script]).name}'
    check_python(parse, command._replace(words=('python', name, *words[script + 1:])))


@each(of('make'))
def test_make_targets(command):
    if shutil.which('make') is None:
        pytest.skip('no make')
    done = subprocess.run([*command.words, '--dry-run', f'PYTHON={sys.executable}'], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


@lru_cache(maxsize=None)
def pip_help():
    return subprocess.run([sys.executable, '-m', 'pip', 'install', '--help'], capture_output=True, text=True,
                          check=True).stdout


@each(of('pip'))
def test_pip_options(command):
    assert command.words[1] == 'install'
    if importlib.util.find_spec('pip') is None:
        pytest.skip('no pip')
    for word in command.words[2:]:
        if word.startswith('-'):
            assert re.search(rf'{word.partition("=")[0]}\b', pip_help()), word


RUN = {
    command.words: command  # once, however often it is written
    for page in PAGES
    for command in commands_of(page) if command.words[0] == 'python' and not command.inline and not command.needs
}


@each([command for command in COMMANDS if command.words[0] in ('mim', 'tensorboard') and not command.inline])
def test_what_cannot_be_run_is_marked(command):
    assert command.needs


@each(RUN.values())
def test_run(here, run_script, command):
    if command.words in (TRAINING, TRAINING_BY_COMMAND):
        assert (here / 'work_dirs/mvc/dvispp_r18_synthetic/summary.json').is_file()  # the fixture ran it
    else:
        run_script(reduce(command))
