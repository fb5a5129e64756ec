# Copyright (c) The mmvc contributors. All rights reserved.
"""Training from published weights, and testing them, by their name."""

import json

import pytest

from tests.helpers.hub_server import COMMIT, hub_server
from tests.helpers.published import publish, use_own_cache
from tests.helpers.tiny_vss import write_config, write_videos

ADDRESS = f'hf://someone/models@{COMMIT}/tiny.pth'


def error_of(run, *arguments) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    return str(caught.value.code)


def test_train_and_test(run, tmp_path, monkeypatch):
    config, data_root = write_config(tmp_path / 'tiny.py'), write_videos(tmp_path / 'videos')
    start = tmp_path / 'start'
    run('train', config, '--data-root', data_root, '--work-dir', start, '--cfg-options', 'train_cfg.max_iters=1')
    with hub_server() as hub:
        use_own_cache(monkeypatch, tmp_path, hub.url)
        hub.files['someone/models', 'tiny.pth'] = (start / 'iter_1.pth').read_bytes()
        publish(monkeypatch, 'tiny_start', ADDRESS, Layout='mmvc')

        run('train', config, '--data-root', data_root, '--work-dir', tmp_path / 'work', '--cfg-options',
            'load_from=tiny_start')
        marker = json.loads((tmp_path / 'work/finished.json').read_text())
        assert marker['start'] == 'tiny_start'  # and not a path of this machine
        run('train', config, '--data-root', data_root, '--work-dir', tmp_path / 'work', '--resume', '--cfg-options',
            'load_from=tiny_start')  # finished: the same start
        numbers = []
        for checkpoint in ('tiny_start', start / 'iter_1.pth', ADDRESS):
            run('test', config, checkpoint, '--data-root', data_root, '--work-dir', tmp_path / 'test', '--out',
                tmp_path / 'numbers.json')
            numbers.append(json.loads((tmp_path / 'numbers.json').read_text()))
        assert numbers[0] == numbers[1] == numbers[2]
        assert len(hub.downloads()) == 1

        for checkpoint in ('checkpoints/tiny-start.pth', 'tiny_strat'):
            message = error_of(run, 'train', config, '--data-root', data_root, '--work-dir', tmp_path / 'more',
                               '--cfg-options', f'load_from={checkpoint}')
            assert f'checkpoint "{checkpoint}" does not exist' in message and 'tiny_start' in message
        assert '--cfg-options load_from=tiny_start downloads them' in error_of(
            run, 'train', config, '--data-root', data_root, '--work-dir', tmp_path / 'more', '--cfg-options',
            'load_from=checkpoints/tiny-start.pth')
        assert 'tiny_start downloads them' in error_of(run, 'test', config, 'tiny-start.pth', '--data-root', data_root)
        hub.files.clear()
        publish(monkeypatch, 'tiny_start', ADDRESS.replace('tiny.pth', 'other.pth'), Layout='mmvc')
        assert 'weights "tiny_start": there is no repository' in error_of(
            run, 'test', config, 'tiny_start', '--data-root', data_root, '--work-dir', tmp_path / 'test')
