# Copyright (c) The mmvc contributors. All rights reserved.
import shutil
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.helpers.tiny_models import build_model, make_batch

STAGES = ('DVISOnline', 'DVISOffline')


@pytest.fixture
def batch():
    return make_batch(2, metainfo=[dict(img_path=[f'{clip}/{t}.jpg' for t in range(3)]) for clip in range(2)])


def cached_model(stage, folder, **options):
    torch.manual_seed(0)
    return build_model(stage, segmenter_cache=dict(folder=str(folder), min_free_gb=0, **options)).train()


def losses_of(model, batch):
    """Losses with the same random points each time; the refiner's memory stays as it is."""
    model = deepcopy(model)
    torch.manual_seed(1)
    losses = model(**model.data_preprocessor(deepcopy(batch), training=True), mode='loss')
    sum(losses.values()).backward()
    return {name: loss.item() for name, loss in losses.items()}, model.segmenter_cache


def count_calls(model, monkeypatch):
    """Frames that go through the backbone."""
    calls, forward = [], type(model.backbone).forward
    monkeypatch.setattr(type(model.backbone), 'forward', lambda self, x: calls.append(len(x)) or forward(self, x))
    return calls


@pytest.mark.parametrize('stage', STAGES)
def test_losses_are_those_without_cache(stage, batch, tmp_path, monkeypatch):
    model = cached_model(stage, tmp_path)
    plain = build_model(stage).train()
    plain.load_state_dict(model.state_dict())
    expected, _ = losses_of(plain, batch)
    calls = count_calls(model, monkeypatch)
    for round, frames in enumerate((6, 1)):  # the second time, one frame to compare with
        calls.clear()
        losses, cache = losses_of(model, batch)
        assert losses == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert sum(calls) == frames
        assert (cache.hits, cache.misses) == ((6, 0) if round else (0, 6))
    assert len(list(tmp_path.glob('*/*.pth'))) == 6
    assert not list(tmp_path.rglob('*.tmp'))


def test_a_frame_is_found_in_another_clip_and_in_the_next_stage(batch, tmp_path):
    losses_of(cached_model('DVISOnline', tmp_path), batch)
    batch['inputs'] = [batch['inputs'][0][[2, 0, 1]], batch['inputs'][1]]
    _, cache = losses_of(cached_model('DVISOffline', tmp_path), batch)
    assert cache.misses == 0


def test_a_changed_pixel_or_padding_is_another_frame(batch, tmp_path):
    model = cached_model('DVISOnline', tmp_path)
    losses_of(model, batch)
    batch['inputs'][0][1, 0, 0, 0] ^= 255
    assert losses_of(model, batch)[1].misses == 1
    model.data_preprocessor.pad_size_divisor = 64
    assert losses_of(model, batch)[1].misses == 6


def test_other_weights_are_refused(batch, tmp_path):
    model = cached_model('DVISOnline', tmp_path)
    losses_of(model, batch)
    torch.nn.init.ones_(model.tracker.post_norm.bias)  # it is trained
    losses_of(model, batch)
    torch.nn.init.ones_(model.head.cls_embed.bias)
    with pytest.raises(ValueError, match='holds features of other weights.*delete the folder'):
        losses_of(model, batch)


def test_another_config_is_refused(batch, tmp_path):
    """The weights are the same, what becomes of them is not."""
    losses_of(cached_model('DVISOnline', tmp_path), batch)
    model = cached_model('DVISOnline', tmp_path)
    model.head.num_transformer_feat_level = 2
    with pytest.raises(ValueError, match='differs from the output of the segmenter'):
        losses_of(model, batch)


def test_damaged_entries_are_made_again(batch, tmp_path):
    model = cached_model('DVISOnline', tmp_path)
    expected, _ = losses_of(model, batch)
    paths = sorted(tmp_path.glob('*/*.pth'))
    size = paths[0].stat().st_size
    with open(paths[0], 'r+b') as file:
        file.truncate(size // 2)
    paths[1].write_bytes(b'')
    losses, cache = losses_of(model, batch)
    assert losses == pytest.approx(expected, rel=1e-6, abs=1e-6) and cache.misses == 2
    assert paths[0].stat().st_size == size


def test_random_augmentation_is_refused(batch, tmp_path):
    model = cached_model('DVISOnline', tmp_path)
    model(**model.data_preprocessor(deepcopy(batch), training=True), mode='loss')
    flipped = dict(batch, inputs=[clip.flip(-1) for clip in batch['inputs']])
    model(**model.data_preprocessor(deepcopy(flipped), training=True), mode='loss')
    noisy = dict(batch, inputs=[clip // 2 for clip in batch['inputs']])
    with pytest.raises(ValueError, match='frame "0/0.jpg" has come in 3 forms'):
        model(**model.data_preprocessor(noisy, training=True), mode='loss')


def test_masked_clips_pass_by(batch, tmp_path):
    for sample in batch['data_samples']:
        for frame in sample:
            frame.set_metainfo(dict(masked=True, patch_mask=np.ones((2, 3), bool), patch_size=32))
    _, cache = losses_of(cached_model('DVISOnline', tmp_path), batch)
    assert (cache.hits, cache.misses) == (0, 0) and not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_writing_only(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=1e8))
    model = cached_model('DVISOnline', tmp_path)
    expected, _ = losses_of(model, batch)
    model.segmenter_cache.min_free_gb = 0.2
    batch['inputs'][0] = batch['inputs'][0] // 2
    losses, _ = losses_of(model, batch)
    assert losses != expected
    assert len(list(tmp_path.glob('*/*.pth'))) == 6


def test_half_the_space(batch, tmp_path):
    plain, _ = losses_of(cached_model('DVISOnline', tmp_path / 'full'), batch)
    model = cached_model('DVISOnline', tmp_path / 'half', dtype='float16')
    losses_of(model, batch)
    losses, cache = losses_of(model, batch)
    assert cache.misses == 0 and losses == pytest.approx(plain, rel=1e-2) and losses != plain
    full, half = (sum(path.stat().st_size for path in (tmp_path / name).glob('*/*.pth')) for name in ('full', 'half'))
    assert half < 0.6 * full
    with pytest.raises(ValueError, match="got 'int8'"):
        cached_model('DVISOnline', tmp_path / 'other', dtype='int8')
