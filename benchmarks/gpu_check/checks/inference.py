# Copyright (c) The mmvc contributors. All rights reserved.
"""Frames per second, latency and memory of a model with random weights: with and without post-processing."""

import torch

from mmvc.models import BaseVideoSegmentor

from ..models import FRAME_SIZES, MODELS_TO_MEASURE, PRECISIONS, build_for_inference, frames_of, half_precision
from ..recorder import Recorder, Settings
from ..timing import PeakMemory, Times, finish, repeat

SECONDS = 6.  # for the timed calls of a row
WARM_UP = 3
#: timed frames of a stream, or clips of a model that needs the whole video
COUNTS = dict(full=dict(frames=40, clips=6, clip=15), toy=dict(frames=3, clips=2, clip=3))


def run(recorder: Recorder, settings: Settings, model: str) -> None:
    """Measure all rows of a model."""
    built = build_for_inference(MODELS_TO_MEASURE[model], settings)
    built.optimize_for_inference()  # as the inferencer does
    for size in FRAME_SIZES[settings.size]:
        for precision in PRECISIONS:
            name = f'{size[0]} x {size[1]}, {precision}'
            recorder.attempt(name, measure, recorder, built, size, precision, settings, seconds=3.)


def measure(recorder: Recorder, model: BaseVideoSegmentor, size: tuple[int, int], precision: str,
            settings: Settings) -> None:
    """Add the rows ``network`` and ``+ post`` of a size and precision."""
    counts, seconds = COUNTS[settings.size], min(SECONDS, recorder.seconds_left() / 4)
    with torch.no_grad(), half_precision(settings, precision):
        for name, with_post in (('network', False), ('+ post', True)):
            peak = PeakMemory(settings.device)
            if model.is_online:
                times = time_stream(model, size, with_post, settings, counts['frames'], seconds)
                columns = dict(of='frame', **times.columns(1))
            else:
                times = time_clips(model, size, with_post, settings, counts, seconds)
                columns = dict(of=f'clip of {counts["clip"]}', **times.columns(counts['clip']))
            recorder.row(frames=f'{size[0]} x {size[1]}', precision=precision, part=name, **columns, **peak.columns())


def time_stream(model: BaseVideoSegmentor, size: tuple[int, int], with_post: bool, settings: Settings, count: int,
                seconds: float) -> Times:
    """Time frame after frame, from its pixels in host memory to masks on the device or labels in host memory."""
    frames = iter(frames_of(size, count + WARM_UP))
    results = model.stream(frames, size) if with_post else model._process_windows(frames)
    return repeat(lambda: next(results), settings.device, WARM_UP, count, seconds)


def time_clips(model: BaseVideoSegmentor, size: tuple[int, int], with_post: bool, settings: Settings, counts: dict,
               seconds: float) -> Times:
    """Time clips as a whole, in windows of the model's size."""
    frames = torch.cat(frames_of(size, counts['clip']))

    def segment() -> None:
        prediction = model.predict_video(frames.split(model.window_size), size)
        if with_post:
            for _ in model.postprocessor.frames(prediction):
                pass
        finish(settings.device)

    return repeat(segment, settings.device, 1, counts['clips'], seconds)
