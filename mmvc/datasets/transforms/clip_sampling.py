# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmvc.registry import TRANSFORMS
from mmvc.utils.errors import DataError


def gather_frames(video: dict, indices: Sequence[int]) -> dict[str, list]:
    """Collect chosen frames of a video in a dict of lists, with one entry per frame.

    Args:
        video (dict): Data info of a video: ``images`` (a list of dicts) and keys of the whole video.
        indices (sequence[int]): T positions in ``images``, in the order of the clip.

    Returns:
        dict[str, list]: The keys of the frames and of the video, each with T values. If only some frames have a key
        (such as a mask, in a video with sparse labels), the value of the others is None.
    """
    images = [video['images'][index] for index in indices]
    keys = dict.fromkeys(key for image in images for key in image)  # a dict, unlike a set, keeps the order
    results = {key: [image.get(key) for image in images] for key in keys}
    for key, value in video.items():
        if key != 'images':
            results[key] = [value] * len(images)
    return results


@TRANSFORMS.register_module()
class SampleAllFrames(BaseTransform):
    """Take all frames of the video, in order. For testing.

    Returns:
        dict[str, list]: See :func:`gather_frames`.
    """

    def transform(self, results: dict) -> dict[str, list]:
        return gather_frames(results, range(len(results['images'])))


@TRANSFORMS.register_module()
class SampleClip(BaseTransform):
    """Draw a training clip around a random key frame.

    The key frame is uniform over the video. The other frames are drawn without replacement from the ``frame_range``
    frames before and after it. The clip is sorted by time. At the start or end of the video the window is cut; if it
    then has fewer than ``num_frames`` frames, it is extended on the other side. If the video is shorter than the
    clip, all its frames are taken, and some are repeated. With ``num_frames == 2 * frame_range + 1`` the clip is
    contiguous.

    In a video with sparse labels the key frame is uniform over the labelled frames, so a clip has at least one of
    them. The other frames are drawn as above, labelled or not.

    With ``replace=True`` the other frames are drawn with replacement, as LVMT draws its clips. A frame can then occur
    several times, so a clip can have more frames than the window: 15 frames of range 5 hold at most 11 different ones,
    8.7 on average. The window is cut at the start and end of the video and never extended.

    Args:
        num_frames (int): Number T of frames in a clip, at least 1.
        frame_range (int): Largest distance from the key frame to another frame, in frames.
        reverse_prob (float): Probability of reversing the clip in time, in [0, 1]. Defaults to 0.
        replace (bool): Whether to draw the other frames with replacement. Defaults to False.

    Returns:
        dict[str, list]: See :func:`gather_frames`.

    Raises:
        ValueError: An argument is out of range.
        DataError: When a clip is drawn: no frame of the video is labelled.
    """

    def __init__(self, num_frames: int, frame_range: int, reverse_prob: float = 0., replace: bool = False) -> None:
        if num_frames < 1:
            raise ValueError(f'SampleClip: num_frames must be at least 1, got {num_frames}')
        smallest = min(num_frames - 1, 1) if replace else num_frames // 2
        if frame_range < smallest:
            raise ValueError(f'SampleClip: {num_frames} frames do not fit into frame_range={frame_range}; it must be '
                             f'at least {smallest}')
        if not 0 <= reverse_prob <= 1:
            raise ValueError(f'SampleClip: reverse_prob must be in [0, 1], got {reverse_prob}')
        self.num_frames = num_frames
        self.frame_range = frame_range
        self.reverse_prob = reverse_prob
        self.replace = replace

    def sample_indices(self, video_length: int, labelled: Sequence[int] | None = None) -> list[int]:
        """Draw the positions of ``num_frames`` frames from a video.

        Args:
            video_length (int): Frames of the video.
            labelled (Sequence[int], optional): Positions of its labelled frames, one of which becomes the key frame.
                Defaults to None: all.
        """
        if video_length < self.num_frames and not self.replace:
            repeated = np.random.choice(video_length, self.num_frames - video_length)
            return sorted([*range(video_length), *repeated.tolist()])
        labelled = range(video_length) if labelled is None else labelled
        key = labelled[np.random.randint(len(labelled))]
        start, stop = key - self.frame_range, key + self.frame_range + 1
        if not self.replace:
            start, stop = min(start, video_length - self.num_frames), max(stop, self.num_frames)
        others = [index for index in range(max(0, start), min(video_length, stop)) if index != key]
        if self.num_frames == 1 or not others:
            return [key] * self.num_frames
        return sorted([key, *np.random.choice(others, self.num_frames - 1, replace=self.replace).tolist()])

    def transform(self, results: dict) -> dict[str, list]:
        labelled = [index for index, image in enumerate(results['images']) if image.get('labelled', True)]
        if not labelled:
            raise DataError(f'no frame of video "{results.get("video_id")}" is labelled; label one, or remove the '
                            'video')
        indices = self.sample_indices(len(results['images']), labelled)
        if self.reverse_prob > 0 and np.random.rand() < self.reverse_prob:
            indices.reverse()
        return gather_frames(results, indices)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(num_frames={self.num_frames}, frame_range={self.frame_range}, '
                f'reverse_prob={self.reverse_prob}, replace={self.replace})')
