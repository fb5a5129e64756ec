# Copyright (c) The mmvc contributors. All rights reserved.
"""The sound of a video, for another video that shows its frames."""

import heapq
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmvc.utils.atomic import atomic_path

#: codecs that players accept in an mp4; others are encoded again, as AAC
COPIED_CODECS = ('aac', 'mp3', 'ac3', 'eac3', 'alac', 'flac', 'opus')
_TOLERANCE = 0.1  # seconds by which a frame may be shown too early or too late; more is seen on lips
_LAYOUTS = {1: 'mono'}  # of channels; AAC is written in mono or stereo


def add_sound(video: Path, source: Path, fps: float, stride: int = 1) -> str | None:
    """Put the sound of a source into a video, if it goes with the frames. It ends with the video. It needs PyAV.

    Args:
        video (Path): An mp4 without sound, which is replaced. Its k-th frame is frame ``k * stride`` of the source.
        source (Path): The file that the frames are from.
        fps (float): Frames per second of the video.
        stride (int): Every how manieth frame of the source it shows. Defaults to 1.

    Returns:
        str | None: Why the video has no sound although the source has one. None if it has the sound, or if the source
        has none or PyAV is not installed.
    """
    try:
        import av  # optional dependency
    except ImportError:
        return None
    failure = getattr(av, 'FFmpegError', OSError)
    try:
        with av.open(str(source)) as container:
            if not container.streams.audio or not container.streams.video:
                return None
            times = _frame_times(container)
    except (failure, OSError, ValueError) as error:
        return f'"{source}" cannot be read by PyAV ({error})'
    if len(times) == 0:
        return f'"{source}" does not say when its frames are shown'
    with av.open(str(video)) as container:
        num_frames = container.streams.video[0].frames
    shown = times[:num_frames * stride] - times[0]
    if np.abs(shown - np.arange(len(shown)) / (fps * stride)).max() > _TOLERANCE:
        return ('the frames are not shown at the times of the source, so its sound would not go with them (its frame '
                'rate varies, or --fps is another one)')
    try:
        with atomic_path(video, keep_suffix=True) as draft:
            _combine(av, video, source, draft, float(times[0]), num_frames / fps)
    except (failure, OSError, ValueError) as error:
        return f'its sound cannot be written into an mp4 ({error})'
    return None


def _frame_times(container: Any) -> np.ndarray:
    """When each frame of the first video track is shown, in seconds, in order."""
    stream = container.streams.video[0]
    times = [packet.pts for packet in container.demux(stream)
             if packet.size and packet.pts is not None and not packet.is_discard]
    return np.sort(np.array(times, np.float64)) * float(stream.time_base)


def _combine(av: Any, video: Path, source: Path, draft: Path, start: float, duration: float) -> None:
    """Write a video with the sound of the source from ``start`` on, in seconds."""
    with av.open(str(video)) as pictures, av.open(str(source)) as sounds:
        audio = sounds.streams.audio[0]
        out = av.open(str(draft), 'w', options=dict(movflags='faststart'))
        try:
            picture_stream = out.add_stream_from_template(pictures.streams.video[0])
            if audio.codec_context.name in COPIED_CODECS:
                heard = _copied(sounds, audio, out.add_stream_from_template(audio), start, duration)
            else:
                heard = _encoded(sounds, audio, out.add_stream('aac', rate=audio.rate), start, duration)
            # in the order of time, so that players need not jump
            for _, packet in heapq.merge(_moved(pictures, picture_stream), heard, key=lambda item: item[0]):
                out.mux(packet)
        except BaseException:
            out = None  # PyAV crashes if a file that it could not write to is completed
            raise
        out.close()


def _moved(container: Any, to: Any) -> Iterator[tuple[float, Any]]:
    """Packets of a video track for another container, each with its time."""
    for packet in container.demux(container.streams.video[0]):
        if packet.dts is not None:
            time = float(packet.dts * packet.time_base)
            packet.stream = to
            yield time, packet


def _copied(container: Any, stream: Any, to: Any, start: float, duration: float) -> Iterator[tuple[float, Any]]:
    """Packets of a sound track, as they are, each with its time after the start."""
    offset = round(start / stream.time_base)
    for packet in container.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
        time = float(packet.pts * packet.time_base)
        if 0 <= time < duration:
            packet.stream = to
            yield time, packet


def _encoded(container: Any, stream: Any, to: Any, start: float, duration: float) -> Iterator[tuple[float, Any]]:
    """Packets of a sound track that is encoded again, each with its time after the start."""
    to.codec_context.layout = _LAYOUTS.get(stream.channels, 'stereo')
    for frame in container.decode(stream):
        time = frame.time - start
        if not 0 <= time < duration:
            continue
        frame.pts = round(time * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        yield from ((time, packet) for packet in to.encode(frame))
    yield from ((duration, packet) for packet in to.encode(None))
