# Copyright (c) The mmvc contributors. All rights reserved.
"""``benchmarks/gpu_check.sh``: each check at toy size on the CPU, so that it works on the day a GPU is there."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_check.__main__ import main, parse_args
from benchmarks.gpu_check.checks.amp import GROWTH_INTERVAL, check_steps, expected_scales
from benchmarks.gpu_check.checks.cuda_tests import read_outcomes, run_tests, test_modules as find_test_modules
from benchmarks.gpu_check.checks.ops import attend_plainly, attention_inputs, compare, values_and_gradients
from benchmarks.gpu_check.child import run_check
from benchmarks.gpu_check.recorder import Recorder, Settings, Skipped, read_result
from benchmarks.gpu_check.report import write_report
from benchmarks.gpu_check.runner import ROOT, Runner
from benchmarks.gpu_check.table import BY_NAME, CHECKS, Check
from benchmarks.gpu_check.timing import Times, percentile, repeat
from benchmarks.gpu_check.trainings import differences

TOY, ON_GPU = Settings('cpu', 'toy'), Settings('cuda', 'toy')
#: what the fast tests run of each check; the slow test of the whole script runs all of it
FAST = {
    'environment': {},
    'ops': {},
    'amp': dict(STAGES=(('online', 'dvispp/dvispp_r50_vspw'), ('online', 'videomt/videomt_vitl_dinov2_vspw'))),
    'deterministic': dict(STAGES=('segmenter', )),
    'resume': dict(STAGES=('online', )),
    'distributed': dict(STAGES=('offline', )),
    'tests': {},
    'inference-r50-offline': dict(PRECISIONS=('fp32', )),
    'inference-lvmt': dict(PRECISIONS=('bf16', )),
    'training-r50': dict(STAGES=('offline', )),
}


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / 'check.jsonl', 300)


def result_of(recorder):
    return read_result(recorder.path)


# --- the checks themselves ---


@pytest.mark.parametrize('name', FAST)
def test_a_check_runs_at_toy_size(name, recorder, monkeypatch):
    module = importlib.import_module(f'benchmarks.gpu_check.checks.{BY_NAME[name].module}')
    for key, value in FAST[name].items():
        monkeypatch.setattr(module, key, value)
    run_check(BY_NAME[name], recorder, TOY)
    result = result_of(recorder)
    assert not result.failures
    assert result.rows or result.skips == ['tests: needs CUDA']
    assert all('CUDA' in reason for reason in result.skips)


@pytest.mark.slow
def test_the_script_runs_all_checks_at_toy_size(tmp_path):
    options = '--device cpu --size toy --budget 3000 --out found'.split()
    done = subprocess.run(['bash', str(ROOT / 'benchmarks/gpu_check.sh'), *options], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / 'found/report.json').read_text())
    assert [check['name'] for check in content['checks']] == [check.name for check in CHECKS]
    assert {check['name']: check['status'] for check in content['checks'] if check['status'] != 'passed'} == {
        'tests': 'skipped'}
    assert all('CUDA' in reason for check in content['checks'] for reason in check['skips'])
    report = (tmp_path / 'found/report.md').read_text()
    assert f'| torch | {torch.__version__} |' in report and '| gloo, 2 process(es) | collectives | right |' in report


def test_wrong_gradients_are_found(recorder):
    inputs = attention_inputs(TOY)
    expected = values_and_gradients(attend_plainly, inputs)
    compare(recorder, 'same', attend_plainly, inputs, expected)
    assert not result_of(recorder).failures
    compare(recorder, 'wrong', lambda value, *rest: attend_plainly(2 * value - value.detach(), *rest), inputs,
            expected)
    assert [text.split(' by')[0] for text in result_of(recorder).failures] == ['wrong: gradients differ']


def test_scales_follow_the_steps():
    taken = [False, False] + [True] * (GROWTH_INTERVAL + 1) + [False]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.)
    scaler = torch.amp.GradScaler('cpu', init_scale=64., growth_interval=GROWTH_INTERVAL)
    scales = [scaler.get_scale()]
    for step in taken:
        scaler.scale((parameter * (1. if step else float('inf'))).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        scales.append(scaler.get_scale())
    assert expected_scales(64., taken) == scales


class OverflowingRow:
    """A training whose gradients are never finite."""

    def __init__(self):
        self.model = torch.nn.Linear(1, 1)
        self.scale = 64.
        self.optimizer = self
        self.loss_scaler = self

    def get_scale(self):
        return self.scale

    def step(self, clips, iteration):
        self.scale /= 2
        return dict(loss=torch.tensor(1.), loss_cls=torch.tensor(float('nan')))


def test_endless_overflows_are_found(recorder):
    check_steps(recorder, 'x', OverflowingRow(), [])
    failure, = result_of(recorder).failures
    assert 'only 0 of 16 steps updated the weights' in failure


def test_entries_that_differ():
    one = dict(state_dict=dict(a=torch.zeros(2)), optimizer=dict(lr=1.), message=[1])
    assert differences(one, dict(state_dict=dict(a=torch.zeros(2)), optimizer=dict(lr=2.))) == ['message', 'optimizer']
    assert differences(one, one) == []


def test_cuda_tests_are_marked(device, request):
    """So that `pytest -m cuda` runs all of them, and no others."""
    assert (device == 'cuda') == (request.node.get_closest_marker('cuda') is not None)
    siblings = [item for item in request.session.items
                if item.path == request.path and item.name == 'test_cuda_tests_are_marked[cuda]']
    assert all(item.get_closest_marker('cuda') for item in siblings)


def test_modules_with_cuda_tests_are_found(tmp_path):
    found = set(find_test_modules(ROOT / 'tests'))
    for path in ('test_models/test_utils/test_feature_store.py', 'test_engine/test_random_state.py'):
        path = ROOT / 'tests' / path
        assert path.is_file() and found & {path, *path.parents}
    assert not found & {ROOT / 'tests', ROOT / 'tests/test_formats'}
    (tmp_path / 'inner').mkdir()
    (tmp_path / 'inner/conftest.py').write_text('def model(device): pass')
    for path in ('inner/test_a.py', 'test_b.py'):
        (tmp_path / path).write_text('def test_x(): pass')
    assert find_test_modules(tmp_path) == [tmp_path / 'inner']


def test_outcomes_of_tests(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr('benchmarks.gpu_check.checks.cuda_tests.ROOT', tmp_path)
    (tmp_path / 'pytest.ini').write_text('[pytest]\nmarkers =\n    cuda: x\n')
    (tmp_path / 'test_some.py').write_text(
        'import pytest\npytestmark = pytest.mark.cuda\ndef test_good(): pass\ndef test_bad(): assert 1 == 2\n'
        'def test_none(): pytest.skip("two GPUs")\n')
    run_tests(recorder, [tmp_path / 'test_some.py'])
    result = result_of(recorder)
    assert result.rows == [dict(tests=3, passed=1, failed=1, skipped=1)]
    assert result.failures == ['test_some.test_bad: assert 1 == 2']
    assert result.skips == ['test_some.test_none: two GPUs']


def test_errors_of_tests_are_failures(tmp_path):
    (tmp_path / 'x.xml').write_text('<testsuites><testsuite><testcase classname="a" name="b">'
                                    '<error message="c&#10;d"/></testcase></testsuite></testsuites>')
    assert read_outcomes(tmp_path / 'x.xml') == {'a.b': ('failed', 'c')}


# --- times ---


def test_columns_of_times():
    times = Times([0.1] * 19 + [0.5])
    assert times.columns(2) == {'frames/s': f'{40 / 2.4:.2f}', 'p50 ms': '100.0', 'p95 ms': '100.0'}
    assert percentile([3., 1., 2., 4.], 0.95) == 4. and percentile([3., 1., 2., 4.], 0.5) == 2.


def test_repeats_end_with_the_time():
    calls = []
    assert len(repeat(lambda: calls.append(1), 'cpu', 3, 10, 60.).seconds) == 10 and len(calls) == 13
    assert len(repeat(lambda: None, 'cpu', 0, 10, 0.).seconds) == 2


# --- processes, limits, reports ---


def fake(name, limit=60, minimum=0):
    return Check(name, f'Title of {name}', '', limit, minimum)


SCRIPTS = dict(
    environment="put(row=dict(torch='1'))",
    good="put(row=dict(a=1, b='x|y')); put(note='a note')",
    failing="put(row=dict(a=1)); put(fail='it is wrong')",
    skipping="put(skip='needs CUDA')",
    crashing='put(row=dict(a=2)); os.abort()',
    ending='sys.exit(3)',
    hanging='put(row=dict(a=3)); subprocess.Popen(["sleep", "60"]); time.sleep(60)')


def command_of(check, path, seconds, settings):
    begin = ('import json, os, subprocess, sys, time\n'
             f'def put(**event): print(json.dumps(event), file=open({str(path)!r}, "a"), flush=True)\n')
    return [sys.executable, '-S', '-c', begin + SCRIPTS[check.name]]


@pytest.fixture
def runner(tmp_path):
    lines = []
    made = Runner(tmp_path, ON_GPU, 'abc', 100., command_of, lines.append)
    made.lines = lines
    return made


def test_every_way_to_end(runner, tmp_path):
    checks = [fake(name, limit=2 if name == 'hanging' else 60) for name in SCRIPTS]
    assert not runner.run(checks)
    results = {check.name: read_result(runner.path(check)) for check in checks}
    assert {name: result.status for name, result in results.items()} == dict(
        environment='passed', good='passed', failing='failed', skipping='skipped', crashing='failed', ending='failed',
        hanging='timed out')
    assert results['hanging'].rows == [dict(a=3)]  # found before the time was over
    assert 'SIGABRT' in results['crashing'].failures[0] and 'code 3' in results['ending'].failures[0]
    assert '[4/7] skipping: skipped (0 s): needs CUDA' in runner.lines

    write_report(tmp_path, checks, ON_GPU, dict(commit='abc'))
    content = json.loads((tmp_path / 'report.json').read_text())
    assert content['facts'] == dict(commit='abc', torch='1')
    assert content['checks'][2]['failures'] == ['it is wrong'] and content['checks'][1]['rows'] == [dict(a=1, b='x|y')]
    text = (tmp_path / 'report.md').read_text()
    assert r'| 1 | x\|y |' in text and '- **failed:** it is wrong' in text and '- a note' in text
    assert '| hanging | timed out | 2 |' in text


def test_passed_checks_are_kept_by_resume(runner, tmp_path):
    checks = [fake('good'), fake('failing')]
    runner.run(checks)
    runner.lines.clear()
    assert not runner.run(checks, resume=True)
    assert runner.lines[0] == '[1/2] good: passed before' and runner.lines[1].startswith('[2/2] failing: Title')
    other = Runner(tmp_path, ON_GPU, 'another commit', 100., command_of, runner.lines.append)
    assert other.finished(checks[0]) is None and runner.finished(checks[0]) is not None
    assert Runner(tmp_path, TOY, 'abc', 100., command_of).finished(checks[0]) is None


def test_checks_beyond_the_budget_are_skipped(runner):
    runner.budget = 1.
    assert runner.run([fake('hanging', limit=60), fake('good', minimum=30)]) is False
    skipped = read_result(runner.path(fake('good')))
    assert skipped.status == 'skipped' and '--budget' in skipped.skips[0]
    assert read_result(runner.path(fake('hanging'))).status == 'timed out'


def test_nothing_runs_in_a_broken_environment(runner, monkeypatch):
    monkeypatch.setitem(SCRIPTS, 'environment', "put(fail='no CUDA device')")
    assert not runner.run([fake('environment'), fake('good')])
    assert read_result(runner.path(fake('good'))).skips == ['the check "environment" has failed']


def test_a_part_that_fails_does_not_end_a_check(recorder):
    def fail(error):
        raise error

    class OutOfMemoryError(RuntimeError):
        pass

    recorder.attempt('one', fail, ValueError('first\nsecond'))
    recorder.attempt('two', fail, Skipped('needs a disk'))
    recorder.attempt('three', fail, OutOfMemoryError('x'))
    recorder.attempt('four', fail, ValueError('x'), seconds=1e6)
    result = result_of(recorder)
    assert result.failures == ['one: ValueError: first']
    assert result.skips == ['two: needs a disk', 'three: out of memory', 'four: no time left']


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / 'x.jsonl').write_text('{"row": {"a": 1}}\n{"row": {"a"')
    assert read_result(tmp_path / 'x.jsonl').rows == [dict(a=1)]
    assert read_result(tmp_path / 'y.jsonl') is None


def test_the_command_writes_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('benchmarks.gpu_check.runner.command_of', command_of)
    out = tmp_path / 'found'
    assert main(['--device', 'cpu', '--size', 'toy', '--only', 'environment', '--out', str(out)]) == 0
    assert 'no check has failed' in capsys.readouterr().out
    facts = json.loads((out / 'report.json').read_text())['facts']
    assert facts['torch'] == '1' and {'date', 'commit', 'command', 'seconds'} <= set(facts)
    monkeypatch.setitem(SCRIPTS, 'environment', 'sys.exit(1)')
    assert main(['--device', 'cpu', '--size', 'toy', '--only', 'environment', '--out', str(out)]) == 1


def test_arguments(capsys):
    names = [check.name for check in parse_args(['--only', 'inference-*', 'amp']).checks]
    assert names[:3] == ['environment', 'amp', 'inference-r50-online'] and len(names) == 9
    assert [check.name for check in parse_args([]).checks] == list(BY_NAME)
    for words, message in ((['--only', 'speed'], '--list shows them'), (['--budget', '0'], 'more than 0')):
        with pytest.raises(SystemExit) as caught:
            parse_args(words)
        assert caught.value.code == 2 and message in capsys.readouterr().err
    assert main(['--list']) == 0
    assert "inference-vitl-offline" in capsys.readouterr().out


@pytest.mark.parametrize('check', CHECKS, ids=BY_NAME)
def test_checks_have_modules(check):
    assert (Path(ROOT) / f'benchmarks/gpu_check/checks/{check.module}.py').is_file()
    assert 0 < check.minimum < check.limit


def test_minimal_times_fit_the_budget():
    assert sum(check.minimum for check in CHECKS) < 600


def test_what_the_script_needs_is_found_without_packages(tmp_path):
    """The list needs no torch, so it works on a machine that has nothing yet."""
    code = ('import sys; from benchmarks.gpu_check.__main__ import main; main(["--list"]); '
            'sys.exit("torch" in sys.modules or "mmvc" in sys.modules)')
    assert subprocess.run([sys.executable, '-S', '-c', code], cwd=ROOT, capture_output=True).returncode == 0
