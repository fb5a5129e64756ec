# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

BARS = dict(vss=['segment', 'refine', 'decode masks'], vis=['segment', 'refine', 'decode masks'],
            vps=['segment', 'refine', 'compare masks', 'decode masks'])


@pytest.fixture
def bars(monkeypatch):
    """Number of items that each progress bar got to, by its label."""
    found = {}

    def track(self, items, total, description):
        label = description.split(': ')[-1]
        found[label] = [0, total]
        for item in items:
            yield item
            found[label][0] += 1

    monkeypatch.setattr('mmvc.utils.progress.ProgressBars.track', track)
    return found


@pytest.mark.parametrize('task', BARS)
def test_each_pass_of_an_offline_model_has_a_bar(make_inferencer, frames, bars, task):
    inferencer = make_inferencer('DVISOffline', task)
    inferencer(frames)
    layers = len(inferencer.model.refiner.layers)
    assert set(bars) == set(BARS[task])
    for label, (done, total) in bars.items():
        assert done == total == (layers if label == 'refine' else len(frames))
    assert not any(layer._forward_pre_hooks for layer in inferencer.model.refiner.layers)


def test_an_online_model_has_nothing_to_refine(make_inferencer, frames, bars):
    make_inferencer('DVISOnline')(frames)
    assert list(bars) == ['segment', 'decode masks']
