# Copyright (c) The mmvc contributors. All rights reserved.
"""The page in headless Chromium: upload a clip, wait, watch the overlay, cancel, download."""

import os
import shutil
import threading
import time
import zipfile

import pytest

from mmvc.commands import demo

pytest.importorskip('gradio')
pytest.importorskip('av')
sync_api = pytest.importorskip('playwright.sync_api')
WAIT = 60_000  # milliseconds
H264 = 'video/mp4; codecs="avc1.42E01E"'


@pytest.fixture
def address(checkpoint, tmp_path, monkeypatch, capfd):
    """The page of a tiny model, served by the command itself, in a thread."""
    for name in ('GRADIO_ANALYTICS_ENABLED', 'GRADIO_TEMP_DIR', 'no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, os.environ.get(name, ''))  # the command sets them: undone after the test
    ended, said = threading.Event(), []
    monkeypatch.setattr(demo, 'print', lambda *words, **options: said.append(' '.join(map(str, words))),
                        raising=False)
    (tmp_path / 'files').mkdir()
    args = demo.build_parser().parse_args([str(checkpoint('vps')), '--device', 'cpu'])
    thread = threading.Thread(target=demo.serve, args=(args, str(tmp_path / 'files'), ended), daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not (found := [line.split()[4] for line in said if line.startswith('the page is at')]):
        assert thread.is_alive() and time.monotonic() < deadline, said
        time.sleep(0.1)
    yield found[0]
    ended.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def tab(address):
    """The page in a tab. Requests to other machines are refused and noted in ``tab.strangers``."""
    with sync_api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
        try:
            browser = playwright.chromium.launch(executable_path=path)
        except sync_api.Error as error:
            pytest.skip(f'no Chromium: {error}')
        tab = browser.new_page(accept_downloads=True)
        tab.strangers = []

        def only_this_machine(route):
            if route.request.url.startswith((address, 'data:', 'blob:')):
                route.continue_()
            else:
                tab.strangers.append(route.request.url)
                route.abort()

        tab.route('**/*', only_this_machine)
        tab.goto(address)
        if not tab.evaluate('type => document.createElement("video").canPlayType(type)', H264):
            pytest.skip('this Chromium has no H.264, as that of Playwright: install Debian\'s or Google\'s')
        yield tab
        browser.close()


def upload(tab, clip):
    tab.set_input_files('#input-video input[type=file]', str(clip))
    tab.wait_for_selector('#input-video video', timeout=WAIT)


def test_upload_wait_and_watch(tab, clip, tmp_path):
    upload(tab, clip)
    tab.click('#segment')
    tab.wait_for_selector('#result-video video', timeout=WAIT)
    video = tab.locator('#result-video video')
    tab.wait_for_function('document.querySelector("#result-video video").readyState >= 3', timeout=WAIT)
    assert video.evaluate('video => [video.videoWidth, video.videoHeight, video.error]') == [96, 64, None]
    video.evaluate('video => { video.muted = true; video.loop = true; return video.play(); }')
    before = video.evaluate('video => video.currentTime')
    tab.wait_for_function(f'Math.abs(document.querySelector("#result-video video").currentTime - {before}) > 0.2',
                          timeout=WAIT)
    assert '12 frames of 96x64' in tab.inner_text('#summary')
    assert 'class' in tab.inner_text('#classes') and 'track' in tab.inner_text('#tracks').lower()
    with tab.expect_download(timeout=WAIT) as download:
        tab.click('#download')
    download.value.save_as(tmp_path / 'results.zip')
    with zipfile.ZipFile(tmp_path / 'results.zip') as archive:
        assert {'street/street.mp4', 'street/classes.csv', 'street/tracks.csv'} <= set(archive.namelist())


def test_cancel(tab, clip, monkeypatch):
    import mmvc.page.job
    run = mmvc.page.job.run_job
    begun = threading.Event()

    def slowly(inferencer, source, output, folder, show_progress, cancelled, max_frames):
        def show(*report):
            show_progress(*report)
            begun.set()
            cancelled.wait(30)

        return run(inferencer, source, output, folder, show, cancelled, max_frames)

    monkeypatch.setattr('mmvc.page.blocks.run_job', slowly)
    upload(tab, clip)
    tab.click('#segment')
    assert begun.wait(60)
    tab.click('#cancel')
    tab.wait_for_function('document.querySelector("#summary").innerText.includes("Cancelled")', timeout=WAIT)
    assert tab.locator('#result-video video').count() == 0


def test_a_file_that_is_no_video(tab, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    tab.set_input_files('#input-video input[type=file]', str(tmp_path / 'text.mp4'))
    tab.wait_for_selector('#input-video video', state='attached', timeout=WAIT)
    tab.click('#segment')
    tab.wait_for_function('document.body.innerText.includes("text.mp4")', timeout=WAIT)


def test_no_fonts_and_no_analytics_of_other_machines(tab):
    """But for the script that resizes frames around a page, which the template of Gradio 5 names."""
    tab.wait_for_selector('#segment', timeout=WAIT)
    assert not [url for url in tab.strangers if 'font' in url or 'analytics' in url or 'iframe' not in url.lower()]
