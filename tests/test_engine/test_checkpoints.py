# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
from mmengine.fileio import get_file_backend

from mmvc.engine import last_good_checkpoint, require_checkpoint, weight_mismatches
from mmvc.engine.checkpoints import is_intact_checkpoint
from mmvc.engine.hooks import AtomicCheckpointHook
from mmvc.models.backbones import PlainViT
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import UsageError


def save(path, value: int = 0) -> None:
    weights = dict(w=torch.full((500, ), float(value)))
    torch.save(dict(meta=dict(iter=value), state_dict=weights, message_hub=dict()), path)


def truncate(path, share: float = 0.6) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def test_intact_means_every_byte(tmp_path):
    path = tmp_path / 'iter_1.pth'
    save(path)
    assert is_intact_checkpoint(path)
    content = bytearray(path.read_bytes())
    position = content.index(bytes(torch.zeros(500).numpy().tobytes()))
    content[position + 100] ^= 1
    path.write_bytes(content)
    assert not is_intact_checkpoint(path)
    save(path)
    truncate(path, 0.99)
    assert not is_intact_checkpoint(path)
    path.write_bytes(b'')
    assert not is_intact_checkpoint(path)
    path.write_bytes(b'<html>not found</html>')
    assert not is_intact_checkpoint(path)
    assert not is_intact_checkpoint(tmp_path / 'missing.pth')


def test_require_checkpoint(tmp_path):
    path = tmp_path / 'a.pth'
    with pytest.raises(UsageError, match='a.pth" does not exist'):
        require_checkpoint(path)
    torch.save(dict(a=1), path, _use_new_zipfile_serialization=False)
    require_checkpoint(path)
    save(path)
    require_checkpoint(path)
    truncate(path)
    with pytest.raises(UsageError, match='a.pth" is truncated'):
        require_checkpoint(path)


def test_last_good_checkpoint_passes_over_broken_ones(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr('mmvc.engine.checkpoints.print_log', lambda message, **kwargs: logged.append(message))
    assert last_good_checkpoint(tmp_path / 'missing') is None
    for value in (2, 9, 10):
        save(tmp_path / f'iter_{value}.pth', value)
    save(tmp_path / 'best_mIoU_iter_99.pth')  # has no optimizer state
    (tmp_path / 'iter_12.pth.tmp').write_bytes(b'half')
    assert last_good_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')  # 10 after 9: numbers, not names
    truncate(tmp_path / 'iter_10.pth')
    assert last_good_checkpoint(tmp_path) == str(tmp_path / 'iter_9.pth')
    assert len(logged) == 1 and str(tmp_path / 'iter_10.pth') in logged[0]
    for value in (2, 9):
        truncate(tmp_path / f'iter_{value}.pth')
    assert last_good_checkpoint(tmp_path) is None


@pytest.mark.parametrize('content, reason', [
    (dict(state_dict=dict(w=torch.zeros(1)), meta=dict(iter=9)), 'was not written by a training.* message_hub'),
    (dict(w=torch.zeros(1)), 'was not written by a training.* meta, state_dict, message_hub'),
    ([1, 2], 'was not written by a training'),
    (dict(state_dict={}, meta={}, message_hub={}), 'does not say which iteration'),
    (dict(state_dict={}, meta=dict(iter=pytest.raises), message_hub={}), 'cannot be read.*refused.*raises'),
])
def test_last_good_checkpoint_passes_over_foreign_files(tmp_path, monkeypatch, content, reason):
    logged = []
    monkeypatch.setattr('mmvc.engine.checkpoints.print_log', lambda message, **kwargs: logged.append(message))
    save(tmp_path / 'iter_2.pth')
    torch.save(content, tmp_path / 'iter_9.pth')
    assert last_good_checkpoint(tmp_path) == str(tmp_path / 'iter_2.pth')
    assert len(logged) == 1 and re.search(f'iter_9.pth" {reason}.*: ignored', logged[0])


def test_safetensors_are_recognised(tmp_path):
    path = tmp_path / 'model.safetensors'
    path.write_bytes(pytest.importorskip('safetensors.torch').save(dict(w=torch.zeros(500))))
    require_checkpoint(path)
    truncate(path, 0.9)
    with pytest.raises(UsageError, match='model.safetensors" is truncated'):
        require_checkpoint(path)


class TestBestCheckpoint:

    @pytest.fixture
    def hook(self, tmp_path, request):
        """Validates with given scores, of the metric ``score`` or those of the parameter."""
        names = getattr(request, 'param', ['score'])
        hook = AtomicCheckpointHook(by_epoch=False, save_best=names, rule='greater')
        runner = SimpleNamespace(
            work_dir=str(tmp_path), iter=0, epoch=0, logger=logging.getLogger('test'), optim_wrapper=None,
            message_hub=SimpleNamespace(runtime_info={}), call_hook=lambda *args: None)
        runner.message_hub.update_info = runner.message_hub.runtime_info.__setitem__
        runner.message_hub.get_info = runner.message_hub.runtime_info.get
        runner.save_checkpoint = lambda folder, filename, *args, **kwargs: Path(folder, filename).write_text('x')
        hook.before_train(runner)

        def resume(**runtime_info):
            """Start again from a checkpoint that says so."""
            runner.message_hub.runtime_info.clear()
            runner.message_hub.runtime_info.update(runtime_info)
            hook.out_dir = None
            hook.before_train(runner)

        def validate(iteration, *scores):
            runner.iter = iteration
            hook.after_val_epoch(runner, dict(zip(names, scores)))
            return sorted(path.name for path in tmp_path.glob('best_*'))

        return SimpleNamespace(validate=validate, resume=resume, runner=runner, folder=tmp_path)

    def test_only_the_best_is_kept(self, hook):
        assert hook.validate(2, 0.5) == ['best_score_iter_2.pth']
        assert hook.validate(4, 0.4) == ['best_score_iter_2.pth']
        assert hook.validate(6, 0.6) == ['best_score_iter_6.pth']

    @pytest.mark.parametrize('hook', [['score', 'loss']], indirect=True)
    def test_every_metric_keeps_its_best(self, hook):
        assert hook.validate(2, 0.5, 0.5) == ['best_loss_iter_2.pth', 'best_score_iter_2.pth']
        assert hook.validate(4, 0.4, 0.6) == ['best_loss_iter_4.pth', 'best_score_iter_2.pth']
        assert hook.validate(6, 0.6, 0.6) == ['best_loss_iter_4.pth', 'best_score_iter_6.pth']

    def test_the_last_one_outlives_a_kill_in_the_writing_of_the_next(self, hook):
        hook.validate(2, 0.5)

        def killed(*args, **kwargs):
            raise KeyboardInterrupt

        hook.runner.save_checkpoint = killed
        with pytest.raises(KeyboardInterrupt):
            hook.validate(4, 0.6)
        assert [path.name for path in hook.folder.glob('best_*')] == ['best_score_iter_2.pth']

    def test_one_of_the_same_name_is_not_removed(self, hook):
        """As when a validation that the checkpoint knows of is repeated with a better score."""
        hook.validate(2, 0.5)
        assert hook.validate(2, 0.6) == ['best_score_iter_2.pth']

    @pytest.mark.parametrize('hook', [['score'], ['score', 'loss']], indirect=True)
    @pytest.mark.parametrize('path', [
        'DIR/other/best_score_iter_9.pth', 'DIR/precious', 'DIR/precious/thesis.tex', '../other/best_score_iter_9.pth',
        'DIR/work/sub/../../other/best_score_iter_9.pth', 'DIR/work/own.pth', 'DIR/work', '..', 'DIR', '', '\0', 3,
        None,
        'best_/../../other/best_score_iter_9.pth', ['DIR/precious']
    ])
    def test_a_checkpoint_does_not_say_what_is_removed(self, hook, path, monkeypatch):
        """A copied work dir names the files of the original one, a checkpoint of a stranger may name anything."""
        (hook.folder / 'current').mkdir()
        monkeypatch.chdir(hook.folder / 'current')  # what '..' leads to is temporary, too
        hook.runner.work_dir = str(hook.folder / 'work')
        kept = [hook.folder / name for name in (
            'other/best_score_iter_9.pth', 'precious/thesis.tex', 'precious/iter_3.pth', 'work/own.pth', 'iter_2.pth')]
        for file in (*kept, hook.folder / 'work/best_score_iter_9.pth'):
            file.parent.mkdir(exist_ok=True)
            file.write_text('years of work')
        path = path.replace('DIR', str(hook.folder)) if isinstance(path, str) else path
        hook.resume(best_ckpt=path, best_ckpt_score=path, best_score=0., best_score_score=0.,
                    outdated_ckpts=[path] * 2, keep_ckpt_ids=[str(path), '../iter_2', 7])
        hook.validate(10, 0.6, 0.6)
        hook.validate(12, 0.7, 0.5)
        assert all(file.is_file() for file in kept)

    def test_a_copied_work_dir_removes_its_own(self, hook):
        original, copy = hook.folder / 'original', hook.folder / 'copy'
        for folder in (original, copy):
            folder.mkdir()
            (folder / 'best_score_iter_9.pth').write_text('x')
        hook.runner.work_dir = str(copy)
        hook.resume(best_ckpt=str(original / 'best_score_iter_9.pth'), best_score=0.)
        hook.validate(10, 0.6)
        assert [path.name for path in copy.iterdir()] == ['best_score_iter_10.pth']
        assert [path.name for path in original.iterdir()] == ['best_score_iter_9.pth']

    @pytest.mark.parametrize('outdated', [None, 3, [3], 'iter_2.pth'])
    def test_state_of_the_wrong_kind(self, hook, outdated):
        hook.resume(best_ckpt=outdated, outdated_ckpts=outdated, keep_ckpt_ids=outdated)
        assert hook.validate(2, 0.5) == ['best_score_iter_2.pth']


@pytest.mark.parametrize('pointer', [
    b'', b'work_di', b'\xff', b'\0', b'iter_4.pth', b'./iter_4.pth', b'/', b'..', b'../other/iter_4.pth', b'DIR/other',
    b'DIR/other/iter_4.pt', b'DIR/other/iter_5.pth', b'DIR/other/notes_4.txt',
    b'/' + b'x' * 300 + b'/iter_4.pth', b'/' + b'x/' * 3000 + b'iter_4.pth'
])
def test_pointers_to_nowhere_are_no_checkpoints_of_the_current_folder(tmp_path, monkeypatch, pointer):
    logged = []
    monkeypatch.setattr('mmvc.engine.checkpoints.print_log', lambda message, **kwargs: logged.append(message))
    monkeypatch.chdir(tmp_path)
    for folder in ('new', 'other'):
        (tmp_path / folder).mkdir()
    for path in ('iter_4.pth', 'other/iter_4.pth'):
        save(tmp_path / path)
    (tmp_path / 'new/last_checkpoint').write_bytes(pointer.replace(b'DIR', bytes(tmp_path)))
    assert last_good_checkpoint('new') is None
    assert len(logged) == 1 and 'last_checkpoint' in logged[0]


def test_pointer_with_a_relative_path(tmp_path, monkeypatch):
    """As of a training with ``out_dir='elsewhere'``, which gets a folder with the name of the work dir."""
    monkeypatch.chdir(tmp_path)
    for folder in ('new', 'elsewhere/new'):
        Path(folder).mkdir(parents=True)
    save(tmp_path / 'elsewhere/new/iter_4.pth')
    Path('new/last_checkpoint').write_text('elsewhere/new/iter_4.pth')
    assert last_good_checkpoint('new') == 'elsewhere/new/iter_4.pth'


def test_last_good_checkpoint_of_a_hook_with_its_own_folder(tmp_path):
    work_dir, elsewhere = tmp_path / 'work', tmp_path / 'elsewhere'
    work_dir.mkdir()
    elsewhere.mkdir()
    save(elsewhere / 'epoch_3.pth')
    (work_dir / 'last_checkpoint').write_text(f'{elsewhere}/epoch_3.pth\n')
    assert last_good_checkpoint(work_dir) == str(elsewhere / 'epoch_3.pth')


@pytest.mark.parametrize('moment', ['fsync', 'replace'])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, moment):
    path = tmp_path / 'folder' / 'file'
    backend = get_file_backend(backend_args=dict(backend='atomic_local'))
    backend.put_text('old', path)

    def fail(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(f'mmvc.utils.atomic.os.{moment}', fail)
        with pytest.raises(OSError, match='No space'):
            backend.put(b'new', path)
    assert path.read_text() == 'old'
    assert [entry.name for entry in path.parent.iterdir()] == ['file']
    atomic_write(path, b'new')
    assert path.read_text() == 'new'


@pytest.mark.parametrize(('settings', 'remedy'), [
    (dict(position_grid=3), 'set position_grid=4 of the encoder'),
    (dict(num_registers=1), 'set num_registers=4 of the encoder'),
])
def test_mismatches_name_the_setting_of_a_plain_transformer(settings, remedy):
    """A position table of another size, other registers: the module knows what to set."""
    arch = dict(embed_dims=8, depth=1, num_heads=1)
    saved = PlainViT(arch, 'absolute', position_grid=4).state_dict()
    model = nn.ModuleDict(dict(encoder=PlainViT(arch, 'absolute', **dict(dict(position_grid=4), **settings))))
    line, = weight_mismatches(model, {f'encoder.{name}': value for name, value in saved.items()})
    assert remedy in line and line.startswith('encoder.')


def test_weight_mismatches_are_named():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    assert weight_mismatches(model, {f'module.{name}': value for name, value in model.state_dict().items()}) == []
    weights = model.state_dict()
    weights['1.weight'] = torch.zeros(5, 3)
    weights['2.weight'] = torch.zeros(1)
    del weights['0.bias']
    assert weight_mismatches(model, weights) == [
        '1.weight: shape (5, 3) in the checkpoint, (4, 3) in the model', '0.bias: not in the checkpoint',
        '2.weight: not in the model'
    ]
    assert not any('0.bias' in line for line in weight_mismatches(model, weights, allow_missing=True))
