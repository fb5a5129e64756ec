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


def test_reports_of_a_call(make_inferencer, frames, tmp_path):
    reports = []
    make_inferencer('DVISOffline')(frames, progress=lambda *report: reports.append(report))
    for label in BARS['vss']:
        done = [report[1:] for report in reports if report[0].endswith(f': {label}')]
        assert done[0][0] == 0 and done[-1][0] == done[-1][1] == len(done) - 1 > 0


@pytest.mark.parametrize('label', BARS['vss'])
def test_a_report_ends_a_call(make_inferencer, video_file, tmp_path, label):
    """At any pass, without outputs."""

    class Ended(Exception):
        pass

    def report(description, done, total):
        if description.endswith(label) and done:
            raise Ended

    inferencer = make_inferencer('DVISOffline')
    with pytest.raises(Ended):
        inferencer(str(video_file), out_dir=tmp_path / 'out', formats=('overlay', 'masks', 'rle'), progress=report)
    assert not [path for path in (tmp_path / 'out').rglob('*') if path.suffix in ('.mp4', '.png', '.json')]
    assert len(inferencer(str(video_file), progress=lambda *report: None)[0].frames) == 8  # it can be called again
