# Copyright (c) The mmvc contributors. All rights reserved.
import json
import os
import runpy
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmvc.challenge.correction.folders as correction_folders
from mmvc.challenge.correction import (
    AmbiguousGroup,
    Asker,
    Audit,
    BackendError,
    CorrectionSettings,
    GroupTable,
    OpenAIBackend,
    TemporaryBackendError,
    UnreachableError,
    correct_folders,
    correct_video,
)
from mmvc.challenge.correction.backends import RefusedError
from mmvc.challenge.records import read_record, write_record
from tests.helpers.chat_server import ChatServer

TOOL = Path(__file__).parents[3] / 'tools/correct_categories.py'
CLASSES = ('sky', 'sea', 'river', 'lake', 'water')
SKY, SEA, RIVER, LAKE, WATER = range(5)
TABLE = GroupTable([AmbiguousGroup('water', ('sea', 'river', 'lake'), also=('water', ), always=True)], CLASSES)
QUESTION = 'Is the water in the image a sea, river, lake? Please give me the only answer.'


@pytest.fixture
def serve(monkeypatch):
    """Start a server with a function that replies; gives the server and a backend that asks it."""
    pytest.importorskip('openai')
    monkeypatch.setenv('OPENAI_API_KEY', 'secret')
    servers = []

    def start(reply, **options):
        servers.append(ChatServer(reply))
        return servers[-1], OpenAIBackend('toy', servers[-1].url, **{'timeout': 10, **options})

    yield start
    for server in servers:
        server.close()


def pool(num_frames=6, size=(32, 48)):
    """Label maps of a stretch of water that is mostly a river, sometimes a sea, and of a small lake above."""
    labels = np.full((num_frames, *size), SKY, np.uint8)
    labels[:, 16:] = RIVER
    labels[num_frames // 2, 16:] = SEA
    labels[:, :6, :6] = LAKE
    return labels


def image(frame):
    return np.full((32, 48, 3), 40 * frame, np.uint8)


def asker(backend, tmp_path, **options):
    return Asker(backend, tmp_path / 'cache', **{'backoff': 0.01, **options})


def correct(backend, tmp_path, settings=None, **options):
    return correct_video('v', pool(), image, TABLE, asker(backend, tmp_path, **options), settings)


def test_right_answers_are_written_through_the_whole_video(serve, tmp_path):
    server, backend = serve(lambda question, picture, n: 'A lake.')
    before = pool()
    corrected, findings = correct(backend, tmp_path)
    expected = pool()
    expected[:, 16:] = LAKE
    assert np.array_equal(corrected, expected)
    assert np.array_equal(before, pool())
    by_old = {finding.old: finding for finding in findings}
    assert by_old['river'].outcome == 'changed' and by_old['river'].new == 'lake'
    assert by_old['river'].reason == 'class change' and by_old['river'].frames == 6
    assert by_old['lake'].outcome == 'confirmed' and by_old['lake'].new is None
    # three frames of each, spread over the video
    assert len(server.requests) == 6
    assert [inquiry.frame for inquiry in by_old['river'].inquiries] == [0, 2, 4]
    assert {request['question'] for request in server.requests} == {QUESTION}
    assert {(request['key'], request['model']) for request in server.requests} == {('Bearer secret', 'toy')}
    picture = cv2.imdecode(np.frombuffer(server.requests[-1]['picture'], np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(picture.mean()) - 40 * findings[-1].inquiries[-1].frame) < 3


@pytest.mark.parametrize('answers, outcome, new', [
    (['sea', 'sea', 'lake'], 'changed', 'sea'),
    (['sea', 'river', 'lake'], 'no majority', None),
    (['sea', 'no idea', 'a swimming pool'], 'no majority', None),
    (['It might be a sea.', 'puddle', ''], 'no answer', None),
    (['river', 'It is a river.', 'sea'], 'changed', 'river'),  # the frame of the sea is corrected
])
def test_majority(serve, tmp_path, answers, outcome, new):
    server, backend = serve(lambda question, picture, n: answers[n - 1])
    labels = pool()
    labels[:, :6, :6] = SKY
    corrected, [finding] = correct_video('v', labels, image, TABLE, asker(backend, tmp_path))
    assert (finding.outcome, finding.new) == (outcome, new)
    expected = labels.copy()
    if new:
        expected[:, 16:] = CLASSES.index(new)
    assert np.array_equal(corrected, expected)
    assert [inquiry.answer for inquiry in finding.inquiries] == answers


def test_nothing_is_asked_twice(serve, tmp_path):
    server, backend = serve(lambda question, picture, n: 'nonsense' if n == 1 else 'lake')
    first = correct(backend, tmp_path)
    count = len(server.requests)
    again = asker(backend, tmp_path)
    second = correct_video('v', pool(), image, TABLE, again)
    assert len(server.requests) == count and (again.asked, again.cached) == (0, count)
    assert np.array_equal(first[0], second[0])
    # another model, another picture: other answers
    other = OpenAIBackend('other', server.url)
    Asker(other, tmp_path / 'cache').ask(b'jpeg', QUESTION)
    Asker(backend, tmp_path / 'cache').ask(b'other jpeg', QUESTION)
    assert len(server.requests) == count + 2


@pytest.mark.parametrize('content', ['', '{"answer": "la', '[]', '{"answer": null}', '{"model": "toy"}', '\udcff'])
def test_a_damaged_cache_counts_as_none(tmp_path, content):

    class Toy:
        name = 'toy'

        def ask(self, picture, question):
            return 'lake'

    asker(Toy(), tmp_path).ask(b'jpeg', QUESTION)
    [path] = (tmp_path / 'cache').iterdir()
    path.write_text(content, errors='surrogateescape')
    again = asker(Toy(), tmp_path)
    assert again.ask(b'jpeg', QUESTION) == 'lake' and (again.asked, again.cached) == (1, 0)
    assert again.ask(b'jpeg', QUESTION) == 'lake' and (again.asked, again.cached) == (1, 1)


def test_only_text_is_kept(tmp_path):

    class Toy:
        name = 'toy'

        def ask(self, picture, question):
            return None

    with pytest.raises(BackendError, match='toy answered None'):
        asker(Toy(), tmp_path).ask(b'jpeg', QUESTION)
    assert not (tmp_path / 'cache').exists()


def test_options_of_a_request(serve, tmp_path):
    server, backend = serve(lambda *args: 'lake')
    thinking = OpenAIBackend('toy', server.url, options=dict(max_completion_tokens=2000))
    for one in (backend, thinking):
        Asker(one, tmp_path / 'cache').ask(b'jpeg', QUESTION)  # the second one is not answered from the first's cache
    assert [request['options'] for request in server.requests] == [
        dict(temperature=0, max_tokens=32), dict(max_completion_tokens=2000)]


def test_busy_servers_are_asked_again(serve, tmp_path):
    replies = [429, 500, 503, ('wait', 0.6), b'{"choices": []}', b'{"cho',
               b'{"choices": [{"message": {"content": ["lake"]}}]}', 'lake']
    server, backend = serve(lambda question, picture, n: replies[n - 1], timeout=0.3)
    assert asker(backend, tmp_path, retries=7).ask(b'jpeg', QUESTION) == 'lake'
    assert len(server.requests) == 8


def test_a_question_without_answer_changes_nothing_and_is_asked_by_the_next_run(serve, tmp_path):
    failing = [True]
    server, backend = serve(lambda question, picture, n: 500 if failing[0] else 'lake')
    corrected, findings = correct(backend, tmp_path, retries=1)
    assert np.array_equal(corrected, pool())
    assert {finding.outcome for finding in findings} == {'no answer'}
    assert 'failure 500' in findings[0].inquiries[0].error
    assert len(server.requests) == 2 * 6
    failing[0] = False
    assert not np.array_equal(correct(backend, tmp_path)[0], pool())


def test_server_that_is_not_there(serve, tmp_path):
    server, backend = serve(lambda *args: 'lake')
    server.close()
    patient = asker(backend, tmp_path, retries=1)
    for picture in (b'1', b'2'):
        with pytest.raises(TemporaryBackendError, match='not reached'):
            patient.ask(picture, QUESTION)
    with pytest.raises(BackendError, match='3 questions in a row did not reach the server') as caught:
        patient.ask(b'3', QUESTION)
    assert not isinstance(caught.value, TemporaryBackendError)
    server.close = lambda: None


def test_a_server_that_is_there_again_is_not_given_up(tmp_path):
    failures = [UnreachableError('away')] * 2 + [TemporaryBackendError('busy')] + [UnreachableError('away')] * 2 + [
        None, UnreachableError('away'), None]

    class Toy:
        name = 'toy'

        def ask(self, picture, question):
            failure = failures.pop(0)
            if failure:
                raise failure
            return 'lake'

    impatient = asker(Toy(), tmp_path, retries=0)
    for picture in map(str, range(8)):
        try:
            impatient.ask(picture.encode(), QUESTION)
        except TemporaryBackendError:
            pass
    assert impatient.asked == 2 and not failures


@pytest.mark.parametrize('options', [dict(max_tokns=5), dict(model='other')])
def test_options_that_the_client_does_not_know_end_the_run(serve, tmp_path, options):
    server, backend = serve(lambda *args: 'lake', options=options)
    with pytest.raises(BackendError, match=next(iter(options))) as caught:
        correct(backend, tmp_path)
    assert not isinstance(caught.value, TemporaryBackendError)
    assert not server.requests


def test_options_must_be_a_dict():
    pytest.importorskip('openai')
    with pytest.raises(BackendError, match='expected a dict'):
        OpenAIBackend('toy', 'http://localhost:1/v1', options=[1])


@pytest.mark.parametrize('status', [401, 404])
def test_errors_that_stay_end_the_run(serve, tmp_path, status):
    server, backend = serve(lambda *args: status)
    with pytest.raises(BackendError, match=f'failure {status}') as caught:
        correct(backend, tmp_path)
    assert not isinstance(caught.value, TemporaryBackendError)
    assert len(server.requests) == 1


def test_a_refused_picture_does_not_end_the_run(serve, tmp_path):
    server, backend = serve(lambda question, picture, n: 400 if n in (1, 2, 4, 5, 6) else 'lake')
    _, findings = correct(backend, tmp_path)
    inquiries = [inquiry for finding in findings for inquiry in finding.inquiries]
    assert [inquiry.refused for inquiry in inquiries] == [True, True, False, True, True, True]
    assert inquiries[0].answer is None and inquiries[0].error.startswith('refused: ')
    assert len(server.requests) == 6, 'refused questions are not repeated'


def test_settings_that_are_refused_end_the_run(serve, tmp_path):
    server, backend = serve(lambda *args: 400)
    with pytest.raises(BackendError, match='the first 3 questions were refused.*failure 400'):
        correct(backend, tmp_path)
    assert len(server.requests) == 3


def test_a_refused_picture_is_not_asked_again(run, folders, serve, capsys):
    server, _ = serve(lambda question, picture, n: 400 if n == 2 else 'lake')
    arguments = ('--out', folders / 'out', '--model', 'toy', '--base-url', server.url, '--resume')
    for _ in range(2):
        run(*arguments)
        assert '1 questions were refused' in capsys.readouterr().out
    assert len(server.requests) == 6


def test_answers_of_another_server_are_not_taken(serve, tmp_path):
    answers = [Asker(serve(lambda *args, answer=answer: answer)[1], tmp_path).ask(b'jpeg', QUESTION)
               for answer in ('lake', 'sea')]
    assert answers == ['lake', 'sea']
    name = OpenAIBackend('toy', 'http://user:pass@localhost:1/v1?token=key').name
    assert name == 'openai:toy@http://localhost:1/v1/'


def test_a_key_in_the_options_is_not_part_of_the_name():
    options = dict(max_tokens=5, extra_headers={'api-key': 'sesame'})
    assert OpenAIBackend('toy', 'http://localhost:1/v1', options=options).name == \
        'openai:toy@http://localhost:1/v1/:{"max_tokens": 5}'


def completion(text: str) -> bytes:
    return json.dumps(dict(choices=[dict(index=0, message=dict(role='assistant', content=text))])).encode()


@pytest.mark.parametrize('reply, expected', [
    (completion('sea\ud800'), 'sea?'),
    (completion('sea\x1b]0;title\x07 and\nland'), 'sea ]0;title  and\nland'),
    (completion('my key is secret'), 'my key is ***'),
    (b'[' * 100000, TemporaryBackendError),
    (b'{"a":"\xff"}', TemporaryBackendError),
    (b'{"choices": ' + b'9' * 5000 + b'}', TemporaryBackendError),
])
def test_odd_replies(serve, tmp_path, reply, expected):
    server, backend = serve(lambda *request: reply)
    ask = asker(backend, tmp_path, retries=0).ask
    if isinstance(expected, str):
        assert ask(b'picture', 'Is it?') == expected
        assert ask(b'picture', 'Is it?') == expected and len(server.requests) == 1  # from the cache
    else:
        with pytest.raises(expected) as caught:
            ask(b'picture', 'Is it?')
        assert len(str(caught.value)) <= 300 and str(caught.value).isprintable()


@pytest.mark.parametrize('status, kind', [(400, RefusedError), (401, BackendError), (500, TemporaryBackendError)])
def test_errors_hold_no_key(serve, tmp_path, status, kind, monkeypatch):
    message = 'key Bearer sk-sesame-0123, Bearer other-sesame \x1b]0;title\x07\n' + 'x' * 1000
    server, _ = serve(lambda *request: (status, json.dumps(dict(error=dict(message=message))).encode()))
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-sesame-0123')
    with pytest.raises(kind) as caught:
        asker(OpenAIBackend('toy', server.url), tmp_path, retries=0).ask(b'picture', 'Is it?')
    text = str(caught.value)
    assert 'sesame' not in text and text.isprintable() and len(text) <= 300 and '***' in text


def test_a_reply_in_drops_ends_in_time(serve, tmp_path):
    _, backend = serve(lambda *request: ('drops', 0.02, 100), timeout=0.2)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match='no whole reply within 0.2 s'):
        asker(backend, tmp_path, retries=0).ask(b'picture', 'Is it?')
    assert time.monotonic() - start < 1.5


def test_names_that_are_no_text(tmp_path):
    """Names of files of another encoding reach records as half characters."""
    name = os.fsdecode(b'caf\xe9')
    path = tmp_path / 'record.json'
    write_record(path, 'digest', dict(video=name))
    assert read_record(path, 'digest') == dict(video=name)


def test_waiting_has_an_end(tmp_path, monkeypatch):
    waits, failures = [], [TemporaryBackendError('busy', retry_after=1e9)]
    monkeypatch.setattr('time.sleep', waits.append)

    class Toy:
        name = 'toy'

        def ask(self, picture, question):
            if failures:
                raise failures.pop()
            return 'lake'

    asker(Toy(), tmp_path).ask(b'jpeg', QUESTION)
    assert max(waits) == 60


def test_backoff_and_rate(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr('time.sleep', lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr('time.monotonic', lambda: clock[0])
    times, failures = [], [True, True, True, False, False, False]

    class Toy:
        name = 'toy'

        def ask(self, picture, question):
            times.append(clock[0])
            if failures.pop(0):
                raise TemporaryBackendError('busy', retry_after=30 if len(times) == 3 else None)
            return 'lake'

    slow = Asker(Toy(), tmp_path, requests_per_minute=6, backoff=8)
    for picture in (b'1', b'2', b'3'):
        slow.ask(picture, QUESTION)
    # every 10 seconds at most; again after 8 (too soon: 10), 16, and the 30 that the server asked for
    assert times == [0, 10, 26, 56, 66, 76]
    with pytest.raises(ValueError, match='requests_per_minute must be above 0'):
        Asker(Toy(), tmp_path, requests_per_minute=0)
    with pytest.raises(ValueError, match='retries must be at least 0'):
        Asker(Toy(), tmp_path, retries=-1)


def test_without_key_or_client(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    with pytest.raises(BackendError, match='OPENAI_API_KEY holds no key'):
        OpenAIBackend('toy')
    assert OpenAIBackend('toy', 'http://localhost:1/v1').name.startswith('openai:toy@')
    monkeypatch.setitem(sys.modules, 'openai', None)
    with pytest.raises(BackendError, match='pip install openai'):
        OpenAIBackend('toy', 'http://localhost:1/v1')


@pytest.fixture
def folders(tmp_path):
    for video in ('one', 'two'):
        for kind in ('pred', 'images'):
            (tmp_path / kind / video).mkdir(parents=True)
        for t, labels in enumerate(pool()):
            cv2.imwrite(str(tmp_path / 'pred' / video / f'{t:03d}.png'), labels if video == 'one' else labels * 0)
            cv2.imwrite(str(tmp_path / 'images' / video / f'{t:03d}.jpg'), cv2.resize(image(t), (96, 64)))
    (tmp_path / 'groups.py').write_text(
        f'classes = {CLASSES}\n'
        "groups = [dict(stuff='water', classes=('sea', 'river', 'lake'), also=('water', ), always=True)]\n")
    return tmp_path


def read_labels(folder):
    return np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.glob('*.png'))])


@pytest.fixture
def run(monkeypatch, folders):
    def tool(*arguments):
        monkeypatch.setattr(sys, 'argv', [
            'correct_categories.py', '--images', str(folders / 'images/{video}'), '--pred', str(folders / 'pred'),
            '--audit', str(folders / 'audit'), '--config', str(folders / 'groups.py'), *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')
    return tool


def test_tool(run, folders, serve, capsys):
    server, _ = serve(lambda question, picture, n: 'lake' if n != 2 else 'the <b>sky</b>')
    run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url)
    printed = capsys.readouterr().out
    assert 'river -> lake, changed' in printed and '1 answers name none' in printed
    expected = pool()
    expected[:, 16:] = LAKE
    assert np.array_equal(read_labels(folders / 'out/one'), expected)
    assert np.array_equal(read_labels(folders / 'out/two'), pool() * 0)
    records = json.loads((folders / 'audit/audit.json').read_text())
    inquiries = [inquiry for record in records for inquiry in record['inquiries']]
    assert len(inquiries) == len(server.requests) == 6
    for inquiry, request in zip(inquiries, server.requests):
        assert (folders / 'audit' / inquiry['picture']).read_bytes() == request['picture']
        assert inquiry['question'] == request['question']
    page = (folders / 'audit/audit.html').read_text()
    assert 'the &lt;b&gt;sky' in page and inquiries[0]['picture'] in page
    run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url)
    assert '0 answers asked for, 6 from the cache' in capsys.readouterr().out


def test_finished_videos_are_skipped(run, folders, serve, capsys, monkeypatch):
    server, _ = serve(lambda question, picture, n: 'lake' if n > 1 else 500)
    arguments = ('--out', folders / 'out', '--model', 'toy', '--base-url', server.url, '--resume')
    with pytest.raises(SystemExit, match='1 questions got no answer'):
        run(*arguments, '--retries', 0)
    corrected = []
    correct = correction_folders.correct_video
    monkeypatch.setattr(correction_folders, 'correct_video',
                        lambda video, *args: corrected.append(video) or correct(video, *args))
    run(*arguments)
    assert corrected == ['one']  # the one with the question that failed; video "two" has none
    page, records = ((folders / 'audit' / name).read_text() for name in ('audit.html', 'audit.json'))
    capsys.readouterr()
    run(*arguments)
    assert corrected == ['one'] and '2 segments in doubt, 6 questions' in capsys.readouterr().out
    assert (folders / 'audit/audit.html').read_text() == page and (folders / 'audit/audit.json').read_text() == records
    run(*arguments, '--questions', 1)  # other settings, but nothing that was not asked before
    assert corrected == ['one', 'one', 'two'] and len(server.requests) <= 8


def test_dry_run(run, folders, capsys):
    run('--dry-run', '--prices', 10, 100, '--picture-tokens', 980)
    printed = capsys.readouterr().out
    assert printed.count(QUESTION) == 6 and '2 not asked' in printed
    # six times 980 + 20 tokens read and 32 written
    assert 'cost: at most about 0.08' in printed
    for options, cost in (('{"max_completion_tokens": 2000}', 'at most about 1.26'),
                          ('{"max_tokens": 64}', 'at most about 0.10'), ('{"temperature": 0}', 'at least about 0.06')):
        run('--dry-run', '--prices', 10, 100, '--picture-tokens', 980, '--options', options)
        assert cost in capsys.readouterr().out
    assert not (folders / 'out').exists() and len(list((folders / 'audit/dry_run_pictures').iterdir())) == 6
    assert {path.name for path in (folders / 'audit').iterdir()} == {
        'dry_run.json', 'dry_run.html', 'dry_run_pictures'}, 'the record of a real run is not touched'
    assert len(json.loads((folders / 'audit/dry_run.json').read_text())) == 2


def test_writing_the_record_is_linear_in_its_length(tmp_path, monkeypatch):
    _, findings = correct_video('v', pool(), image, TABLE, None)
    audit, written = Audit(tmp_path), []
    write = audit.write
    monkeypatch.setattr(audit, 'write', lambda: written.append(len(audit.findings)) or write())
    for _ in range(100):
        audit.add(findings[:1])
    assert written[:5] == [1, 2, 3, 4, 5] and sum(written) < 12 * 100, 'the sum of 1 to 100 is 5050'
    assert written[-1] > 90, 'what a kill can lose'


def test_the_record_is_written_if_the_server_gives_up(run, folders, serve):
    cv2.imwrite(str(folders / 'pred/two/000.png'), pool()[0])
    cv2.imwrite(str(folders / 'images/two/000.jpg'), image(6))  # a picture that was not asked about
    server, _ = serve(lambda question, picture, n: 'lake' if n <= 6 else 401)
    with pytest.raises(SystemExit, match='failure 401'):
        run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url)
    assert {record['video'] for record in json.loads((folders / 'audit/audit.json').read_text())} == {'one'}


def test_the_tool_goes_on_past_broken_videos(run, folders, serve):
    (folders / 'images/two/000.jpg').rename(folders / 'images/two/999.jpg')
    server, _ = serve(lambda *args: 'lake')
    with pytest.raises(SystemExit, match='^error: 1 of 2 videos could not be corrected: two: .*no file for frame 000'):
        run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url)
    assert [path.name for path in (folders / 'out').iterdir()] == ['one']
    assert {record['video'] for record in json.loads((folders / 'audit/audit.json').read_text())} == {'one'}
    (folders / 'pred/one/003.png').write_bytes(b'')
    with pytest.raises(SystemExit, match='2 of 2 videos could not be corrected: one, two. See above'):
        run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url)


def test_failures_are_reported(run, folders, serve):
    server, _ = serve(lambda *args: 500)
    with pytest.raises(SystemExit, match='6 questions got no answer.*the last error: server: .*failure 500'):
        run('--out', folders / 'out', '--model', 'toy', '--base-url', server.url, '--retries', 0)
    assert np.array_equal(read_labels(folders / 'out/one'), pool())


def test_margins_of_files(folders, monkeypatch):
    for t in range(6):
        (folders / 'margins/one').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folders / f'margins/one/{t:03d}.png'), np.full((32, 48), 25, np.uint8))
    for path in (folders / 'pred/two').iterdir():
        path.unlink()
    (folders / 'pred/two').rmdir()
    table = GroupTable([AmbiguousGroup('water', ('sea', 'river', 'lake'))], CLASSES)
    arguments = dict(images=str(folders / 'images/{video}'), pred_dir=folders / 'pred', output_dir=None,
                     audit_dir=folders / 'audit', table=table, asker=None, settings=CorrectionSettings(min_area=0.01))
    reasons = {finding.old: finding.reason for finding in correct_folders(**arguments).findings}
    assert reasons == dict(river='class change')
    kept = []
    correct = correction_folders.correct_video
    monkeypatch.setattr(correction_folders, 'correct_video',
                        lambda *args: kept.extend(args[-1]) or correct(*args))
    audit = correct_folders(**arguments, margins_dir=folders / 'margins')
    assert {margin.dtype for margin in kept} == {np.dtype(np.uint8)}, 'a byte per pixel of the video, not eight'
    assert {finding.old: finding.reason for finding in audit.findings} == dict(river='class change', lake='low margin')


def test_wrong_folders(folders):
    arguments = dict(images=str(folders / 'images/{video}'), pred_dir=folders / 'pred', output_dir=None,
                     audit_dir=folders / 'audit', table=TABLE, asker=None)
    with pytest.raises(ValueError, match='that of the predictions'):
        correct_folders(**{**arguments, 'output_dir': folders / 'pred'})
    with pytest.raises(ValueError, match='{video}'):
        correct_folders(**{**arguments, 'images': 'images'})
    with pytest.raises(FileNotFoundError, match='no file for frame 000'):
        correct_folders(**arguments, margins_dir=folders / 'none')
    (folders / 'images/one/003.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='frame 003'):
        correct_folders(**arguments)


def test_tool_errors(run, folders, capsys):
    for options in ('{"max_tokens": 5', '[1]'):
        with pytest.raises(SystemExit):
            run('--dry-run', '--options', options)
        assert 'error: argument --options: ' in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SystemExit):
        run('--model', 'toy')
    assert '--dry-run' in capsys.readouterr().err
    (folders / 'groups.py').write_text('groups = [dict(stuff="water", answers=("sea", ))]')
    with pytest.raises(SystemExit, match='error: config'):
        run('--dry-run')


@pytest.mark.parametrize('place', ['pred', 'pred/one', 'images', 'images/one', '.'])
def test_outputs_over_inputs_are_refused(folders, place):
    arguments = dict(images=str(folders / 'images/{video}'), pred_dir=folders / 'pred', output_dir=folders / 'out',
                     audit_dir=folders / 'audit', table=TABLE, asker=None)
    before = sorted(folders.rglob('*'))
    for key in ('output_dir', 'audit_dir'):
        with pytest.raises(ValueError, match='would overwrite or mix with the input'):
            correct_folders(**{**arguments, key: folders / place})
    assert sorted(folders.rglob('*')) == before
