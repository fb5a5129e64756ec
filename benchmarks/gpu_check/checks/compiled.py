# Copyright (c) The mmvc contributors. All rights reserved.
"""The network through ``torch.compile`` beside the same network in eager mode: time, and labels that differ."""

import time

import torch

from mmvc.models import BaseVideoSegmentor

from ..models import FRAME_SIZES, MODELS_TO_MEASURE, build_for_inference, frames_of, half_precision, labels_of
from ..recorder import Recorder, Settings, Skipped
from ..timing import PeakMemory, finish
from .inference import COUNTS, SECONDS, time_stream

PRECISION = dict(cuda='fp16', cpu='fp32')
NUM_COMPARED = 2  # frames whose labels are compared


def run(recorder: Recorder, settings: Settings, model: str) -> None:
    """Measure a model before and after compilation, at the first frame size."""
    if not hasattr(torch.nn.Module, 'compile'):
        raise Skipped(f'torch {torch.__version__} does not compile modules')
    size = FRAME_SIZES[settings.size][0]
    precision = PRECISION[settings.device]
    labels = []
    for compiled in (False, True):
        built = build_for_inference(MODELS_TO_MEASURE[model], settings)
        built.optimize_for_inference(compile=compiled)
        with torch.no_grad(), half_precision(settings, precision):
            start = time.perf_counter()
            labels.append(list(labels_of(built, frames_of(size, NUM_COMPARED), size)))
            finish(settings.device)
            first = time.perf_counter() - start
            columns = dict(network='compiled' if compiled else 'eager', frames=f'{size[0]} x {size[1]}',
                           precision=precision)
            measure(recorder, settings, built, size, columns, first)
    changed = sum(int((a != b).sum()) for a, b in zip(*labels)) / sum(a.numel() for a in labels[0])
    recorder.note(f'{changed:.3%} of the labels of {NUM_COMPARED} frames differ from eager mode. Random weights '
                  'overstate it: many pixels have no clear winner.')
    recorder.require(changed < 0.5, f'{changed:.1%} of the labels differ between eager and compiled')


def measure(recorder: Recorder, settings: Settings, model: BaseVideoSegmentor, size: tuple[int, int], columns: dict,
            first: float) -> None:
    """Add a row for the stream of a model whose first frames took ``first`` seconds, compilation included."""
    peak = PeakMemory(settings.device)
    times = time_stream(model, size, False, settings, COUNTS[settings.size]['frames'],
                        min(SECONDS, recorder.seconds_left() / 4))
    recorder.row(**columns, **times.columns(1), **{'first frames s': f'{first:.1f}'}, **peak.columns())
