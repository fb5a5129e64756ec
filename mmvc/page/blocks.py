# Copyright (c) The mmvc contributors. All rights reserved.
"""The page itself, in the words of Gradio 5 and 6. This is the only module that needs Gradio."""

import html
import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmvc.utils.errors import DataError, UsageError

from .job import OUTPUTS, Cancelled, run_job
from .models import ModelShelf
from .sessions import Sessions
from .tables import CLASS_COLUMNS, TRACK_COLUMNS

_TITLE = 'mmvc: video segmentation'
_INTRODUCTION = """# Video segmentation

Drop a video or record one with the camera, choose a model, and press *Segment*. One video is processed at a time;
others wait for their turn.
"""
_MAX_WAITING = 20  # jobs in the queue
_KEEP_SECONDS = 3600  # of uploads and results; all are removed when the page ends
# fonts of the system: those of Gradio's themes come from a server of Google
_FONTS = dict(font=('system-ui', 'sans-serif'), font_mono=('ui-monospace', 'monospace'))


def build_page(shelf: ModelShelf, folder: str | Path, max_frames: int | None = None) -> gr.Blocks:
    """Lay out the page and connect its buttons.

    Args:
        shelf (ModelShelf): The models to choose from.
        folder (str | Path): Folder for the files of running jobs.
        max_frames (int, optional): Segment only so many frames of a video. Defaults to None: all.

    Returns:
        gr.Blocks: The page, with a queue of one job at a time.
    """
    sessions = Sessions()

    def segment(video: str | None, model: str, output: str, request: gr.Request,
                progress: gr.Progress = gr.Progress()) -> Iterator[tuple]:  # noqa: B008  Gradio asks for the default
        if video is None:
            raise _error('Drop or record a video first.')

        def show(description: str, done: int, total: int | None) -> None:
            progress((done, total), desc=description)

        with sessions.job(str(request.session_hash)) as cancelled, \
                tempfile.TemporaryDirectory(prefix='job-', dir=folder) as place:
            try:
                progress(None, desc=f'load {model}')
                result = run_job(shelf.get(model), video, output, place, show, cancelled, max_frames)
            except Cancelled:
                yield None, None, None, gr.DownloadButton(value=None, interactive=False), 'Cancelled.'
                return
            except (UsageError, DataError) as error:
                raise _error(str(error)) from error
            # Gradio copies the files before it asks for the next value, which ends the block that removes them
            yield (str(result.video), result.classes, result.tracks,
                   gr.DownloadButton(value=str(result.archive), interactive=True), result.summary)

    def cancel(request: gr.Request) -> None:
        sessions.cancel(str(request.session_hash))

    options = dict(title=_TITLE, analytics_enabled=False, delete_cache=(_KEEP_SECONDS, _KEEP_SECONDS))
    if 'theme' not in inspect.signature(gr.Blocks.launch).parameters:  # Gradio 5
        options['theme'] = gr.themes.Default(**_FONTS)
    with gr.Blocks(**options) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column():
                video = gr.Video(label='Video', sources=['upload', 'webcam'], elem_id='input-video')
                model = gr.Dropdown(choices=shelf.names, value=shelf.names[0], label='Model', elem_id='model')
                output = gr.Radio(choices=[(label, name) for name, (label, _) in OUTPUTS.items()], value='overlay',
                                  label='Output', elem_id='output')
                with gr.Row():
                    start = gr.Button('Segment', variant='primary', elem_id='segment')
                    stop = gr.Button('Cancel', variant='stop', elem_id='cancel')
            with gr.Column():
                result = gr.Video(label='Result', interactive=False, autoplay=True, elem_id='result-video')
                summary = gr.Markdown(elem_id='summary')
                download = gr.DownloadButton('Download video, masks and tables (zip)', interactive=False,
                                             elem_id='download')
        classes = gr.Dataframe(headers=list(CLASS_COLUMNS), label='Classes', interactive=False, elem_id='classes')
        tracks = gr.Dataframe(headers=list(TRACK_COLUMNS), label='Tracks', interactive=False, elem_id='tracks')
        start.click(segment, [video, model, output], [result, classes, tracks, download, summary], concurrency_limit=1)
        stop.click(cancel, queue=False)
        page.unload(cancel)  # a closed tab
    return page.queue(max_size=_MAX_WAITING, default_concurrency_limit=1)


def _error(message: str) -> gr.Error:
    """An error that the page shows until it is closed; Gradio would take the text for HTML and print a traceback."""
    known = inspect.signature(gr.Error.__init__).parameters
    options = dict(print_exception=False) if 'print_exception' in known else {}
    return gr.Error(html.escape(message), duration=None, **options)


def launch(page: gr.Blocks, host: str, port: int | None, max_upload: int, open_browser: bool = False) -> str:
    """Serve the page in threads of its own, until ``page.close()``. Nothing is shared with other servers.

    Args:
        page (gr.Blocks): The page.
        host (str): Address to listen at.
        port (int, optional): Port. None: the first free one from 7860.
        max_upload (int): Largest size of an upload, in MiB.
        open_browser (bool): Whether to open the page in a browser. Defaults to False.

    Returns:
        str: Address of the page.

    Raises:
        UsageError: The port is taken, or the address is not one of this machine.
    """
    known = inspect.signature(page.launch).parameters
    options: dict[str, Any] = dict(
        server_name=host, server_port=port, share=False, inbrowser=open_browser, prevent_thread_lock=True, quiet=True,
        ssr_mode=False, enable_monitoring=False, max_file_size=max_upload * 2**20)
    if 'theme' in known:  # Gradio 6
        options.update(theme=gr.themes.Default(**_FONTS), footer_links=[])
    else:
        options['show_api'] = False
    try:
        _, address, _ = page.launch(**options)
    except (OSError, ValueError) as error:  # no free port; a proxy is between the page and this machine
        raise UsageError(f'the page cannot be served at {host}, port {port or "7860 and above"}: '
                         f'{" ".join(str(error).split())[:200]}. Choose another --port or --host') from error
    return address
