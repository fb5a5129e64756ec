# Copyright (c) The mmvc contributors. All rights reserved.
import zlib
from collections.abc import Callable

import numpy as np
from mmcv.transforms import BaseTransform

from mmvc.registry import TRANSFORMS
from mmvc.utils.errors import UsageError
from mmvc.utils.random_state import seeded

#: corruptions that draw from a generator of their own and take its seed
_WITH_SEED = ('impulse_noise', 'glass_blur')


@TRANSFORMS.register_module()
class CorruptFrames(BaseTransform):
    """Corrupt the frames of a clip: noise, blur, weather, digital faults. For testing how robust a model is.

    The corruptions and their levels are those of Hendrycks and Dietterich (arXiv 1903.12261), computed by the package
    ``imagecorruptions-imaug``. The random numbers of a frame depend only on the video, the position of the frame in it
    and ``seed``. So all models see the same corrupted frames, whatever the order, the workers and their seeds.

    The levels are made for photographs of about 224 pixels. On small frames they are harder.

    Place it directly before packing, after the last resize. It works on clips, outside ``TransformBroadcaster``, and
    on single images. The ground truth stays as it is.

    Required keys: ``img``, uint8 (H, W, 3) in BGR or a list of T of them, at least 32 x 32 pixels; ``video_id`` and
    ``frame_id``, or ``img_path`` of a single image.

    Modified keys: ``img`` (a new array; the input array is not changed).

    Args:
        corruption (str): Name of the corruption: ``gaussian_noise``, ``shot_noise``, ``impulse_noise``,
            ``speckle_noise``, ``defocus_blur``, ``glass_blur``, ``motion_blur``, ``zoom_blur``, ``gaussian_blur``,
            ``snow``, ``frost``, ``fog``, ``spatter`` (drops of water at levels 1 to 3, mud at 4 and 5),
            ``brightness``, ``contrast``, ``saturate``, ``elastic_transform``, ``pixelate`` or ``jpeg_compression``.
        severity (int): Level, 1 (weak) to 5 (strong). Defaults to 3.
        seed (int): Another number gives another noise, at least 0. Defaults to 0.

    Raises:
        UsageError: The package is not installed.
        ValueError: There is no such corruption or level, or a frame is too small.
    """

    def __init__(self, corruption: str, severity: int = 3, seed: int = 0) -> None:
        self._corrupt, names = _load_corruptions()
        if corruption not in names:
            raise ValueError(f'CorruptFrames: no corruption "{corruption}", expected one of '
                             f'{", ".join(sorted(names))}')
        if severity not in range(1, 6):
            raise ValueError(f'CorruptFrames: severity must be a whole number from 1 to 5, got {severity!r}')
        if seed < 0:
            raise ValueError(f'CorruptFrames: seed must be at least 0, got {seed}')
        self.corruption = corruption
        self.severity = severity
        self.seed = seed

    def transform(self, results: dict) -> dict:
        if isinstance(results['img'], (list, tuple)):
            results['img'] = [
                self._corrupt_frame(frame, f'{video}/{frame_id}')
                for frame, video, frame_id in zip(results['img'], results['video_id'], results['frame_id'])]
        else:
            results['img'] = self._corrupt_frame(results['img'], name_of_frame(results))
        return results

    def _corrupt_frame(self, frame: np.ndarray, name: str) -> np.ndarray:
        height, width = frame.shape[:2]
        if min(height, width) < 32:
            raise ValueError(f'CorruptFrames: frame "{name}" has {height} x {width} pixels, the corruptions need at '
                             'least 32 x 32: use larger frames')
        if frame.dtype != np.uint8:
            frame = np.rint(frame).clip(0, 255).astype(np.uint8)
        entropy = (self.seed, zlib.crc32(self.corruption.encode()), zlib.crc32(name.encode()))
        options = dict(seed=zlib.crc32(f'{self.seed}/{name}'.encode())) if self.corruption in _WITH_SEED else {}
        with seeded(entropy):
            corrupted = self._corrupt(
                np.ascontiguousarray(frame[..., ::-1]),
                severity=self.severity,
                corruption_name=self.corruption,
                **options)
        return np.ascontiguousarray(corrupted[..., ::-1])

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(corruption={self.corruption!r}, severity={self.severity}, '
                f'seed={self.seed})')


def name_of_frame(results: dict) -> str:
    """Return what names a single frame in all runs: video and position, or the file of an image without a video."""
    if 'video_id' in results and 'frame_id' in results:
        return f'{results["video_id"]}/{results["frame_id"]}'
    return str(results.get('img_path', ''))


def _load_corruptions() -> tuple[Callable[..., np.ndarray], list[str]]:
    """Import the package; return its function and the names of its corruptions."""
    try:
        from imagecorruptions import corrupt, get_corruption_names
    except ImportError as error:
        raise UsageError(f'CorruptFrames needs the package imagecorruptions-imaug ({error}): pip install '
                         'imagecorruptions-imaug') from error
    return corrupt, get_corruption_names('all')
