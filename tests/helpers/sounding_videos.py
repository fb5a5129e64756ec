# Copyright (c) The mmvc contributors. All rights reserved.
"""Videos with sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE, FPS = 48000, 10


def write_source(path: Path, codec: str | None = 'aac', seconds: float = 4., beep: float = 2.,
                 times: Sequence[float] | None = None) -> Path:
    """Write a video of black frames with a beep; the frame at that time is white. It needs PyAV."""
    import av
    with av.open(str(path), 'w') as container:
        pictures = container.add_stream('mpeg4', rate=FPS)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
        pictures.time_base = pictures.codec_context.time_base = Fraction(1, 1000)
        sounds = container.add_stream(codec, rate=RATE) if codec else None
        if sounds is not None:
            sounds.codec_context.layout = 'mono'
        for time in np.arange(int(seconds * FPS)) / FPS if times is None else times:
            value = 255 if abs(time - beep) < 0.05 else 0
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format='rgb24')
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if sounds is not None:
            kind = sounds.codec_context.format.name
            wave = np.zeros(int(seconds * RATE), np.float32)
            start = int(beep * RATE)
            wave[start:start + RATE // 2] = np.sin(np.arange(RATE // 2) * 0.1)
            wave = wave if kind.startswith('flt') else (wave * 32000).astype(np.int16)
            for first in range(0, len(wave), 1024):
                frame = av.AudioFrame.from_ndarray(wave[None, first:first + 1024], kind, 'mono')
                frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
                container.mux(sounds.encode(frame))
            container.mux(sounds.encode())
    return path


def heard(path: Path) -> tuple[str, float, float] | None:
    """Codec, start of the beep and length of the sound in seconds; None without sound."""
    import av
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        frames = list(container.decode(container.streams.audio[0]))
        wave = np.concatenate([np.abs(frame.to_ndarray()[0].astype(float)) for frame in frames])
        beep = frames[0].time + np.argmax(wave > 0.3 * wave.max()) / frames[0].sample_rate
        end = frames[-1].time + frames[-1].samples / frames[-1].sample_rate
        return container.streams.audio[0].codec_context.name, beep, end
