# Copyright (c) The mmvc contributors. All rights reserved.
"""Writer of videos with the prediction drawn over them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path
from mmvc.visualization import SegmentMap, VideoWriter, add_sound, legend_strip, text_scale

from .plotting import draw_frame, encode_picture
from .results import FrameResult
from .writer import AddFrame, VideoInfo, Writer

# A legend of all classes must not cover more than a few lines under the video.
_MAX_LEGEND = 24


class OverlayWriter(Writer):
    """Frames with the prediction drawn over them: ``<video>.mp4``, or ``<image>.png`` for a single image.

    A video keeps the sound of its source if that still goes with the frames; otherwise a warning says why not.
    """

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return output_path(self.settings.out_dir, video.name, suffix='.png' if video.is_image else '.mp4')

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        if video.is_image:
            yield lambda result: atomic_write(self.target(video), encode_picture(self.draw(result), '.png'))
            return
        count, is_whole = 0, True

        def finish(draft: Path) -> None:
            if video.file is not None:
                reason = add_sound(draft, video.file, video.fps, video.stride) if is_whole else 'frames were skipped'
                if reason is not None:
                    print_log(f'{video.name}.mp4 has no sound: {reason}', logger='current', level=30)

        with VideoWriter(self.target(video), video.fps, finish) as writer:

            def add(result: FrameResult) -> None:
                nonlocal count, is_whole
                is_whole = is_whole and result.index == count * video.stride
                count += 1
                writer.write(self.draw(result))

            yield add

    def draw(self, result: FrameResult) -> np.ndarray:
        """Draw a frame.

        Args:
            result (FrameResult): The prediction.

        Returns:
            ndarray: RGB, uint8, as wide as the frame, or with ``side_by_side`` twice as wide; semantic maps with a
            legend below, if the classes are few.
        """
        settings = self.settings
        image = cv2.cvtColor(result.image, cv2.COLOR_BGR2RGB)
        segments = SegmentMap.of_prediction(result.above(settings.score_thr).data_sample, len(settings.classes))
        picture = draw_frame(image, segments, settings.classes, settings.palette, settings.alpha, legend=False)
        scale = text_scale(picture)
        if settings.side_by_side:
            picture = np.concatenate([image, picture], axis=1)
        # the same in all frames, so that they have one size
        if settings.task != 'vss' or not settings.legend or len(settings.classes) > _MAX_LEGEND:
            return picture
        colors = np.asarray(settings.palette, np.uint8)
        return np.concatenate([picture, legend_strip(picture.shape[1], settings.classes, colors, scale)])
