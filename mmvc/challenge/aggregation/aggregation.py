# Copyright (c) The mmvc contributors. All rights reserved.
"""Choosing, video by video, the model whose prediction moves with the images (arXiv 2406.04979, Eq. 5-7)."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmvc.formats.label_maps import read_label_map
from mmvc.utils.atomic import atomic_folder
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.files import files_in, require_placeholder, videos_in
from mmvc.utils.image_files import FRAME_SUFFIXES
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.natural_order import natural_key

from ..records import fingerprint, read_record, write_record
from .motion import estimate_motion, warp_labels
from .ssim import WINDOW, label_similarity, require_window


class VideoChoice(NamedTuple):
    """What was chosen for a video.

    Args:
        video (str): Its name.
        frames (int): Its number of frames.
        scores (dict[str, float]): Motion consistency of each model, NaN where not defined (a single frame).
        chosen (str): The model of the highest score, the first one among equals or if no score is defined.
    """
    video: str
    frames: int
    scores: dict[str, float]
    chosen: str


def motion_consistency(frames: Iterable[tuple[np.ndarray, Sequence[np.ndarray]]],
                       treatment: str = 'classes',
                       window: int = WINDOW) -> np.ndarray:
    """Measure how well each model's label maps follow the motion in the images of one video.

    For every two consecutive frames, the earlier label map is warped to the later frame and compared by SSIM with the
    actual one; pixels that enter the frame or were hidden do not count. The score is the mean over the pairs of
    frames. The motion is estimated once for all models, and two frames are in memory at a time.

    Args:
        frames (Iterable[tuple]): T times the image, grey, uint8 (h, w), resized here if the label maps have another
            size, and the label maps of M models, each uint8 (H, W).
        treatment (str): Of label maps, see :func:`label_similarity`. Defaults to ``'classes'``.
        window (int): Side of SSIM's window in pixels. Defaults to 7.

    Returns:
        np.ndarray: Scores in [-1, 1], the higher the better, float64 (M,); NaN if T < 2 or nothing could be compared.

    Raises:
        DataError: Label maps differ in size.
    """
    scores: list[list[float]] = []
    earlier = None
    for image, labels in frames:
        sizes = {label_map.shape for label_map in (*labels, *(earlier[1] if earlier else ()))}
        if len(sizes) > 1:
            raise DataError(f'label maps of one video have the sizes {", ".join(map(str, sorted(sizes)))}: the '
                            'models must predict at one size, that of the frames')
        height, width = labels[0].shape
        if image.shape != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        if earlier:
            motion = estimate_motion(earlier[0], image)
            scores.append([label_similarity(warp_labels(before, motion), after, motion.valid, treatment, window)
                           for before, after in zip(earlier[1], labels)])
        earlier = image, labels
    num_models = len(earlier[1]) if earlier else 0
    table = np.array(scores).reshape(-1, num_models)
    table = table[~np.isnan(table).any(axis=1)]
    return table.mean(axis=0) if len(table) else np.full(num_models, np.nan)


def aggregate_folders(images: str,
                      predictions: Mapping[str, str | Path],
                      output_dir: str | Path,
                      treatment: str = 'classes',
                      window: int = WINDOW,
                      workers: int = 1,
                      record_dir: str | Path | None = None) -> list[VideoChoice]:
    """Choose a model for every video and collect the chosen predictions in one folder.

    Args:
        images (str): Folder of a video's frames, with ``{video}`` in the place of its name.
        predictions (Mapping[str, str | Path]): Name of a model -> its folder of ``<video>/<frame>.png``, 8-bit class
            indices; two or more. The first one is taken where scores are equal.
        output_dir (str | Path): Folder for the chosen ``<video>/<frame>.png``, copied as they are. A video's folder
            appears when it is complete, and replaces an older one.
        treatment (str): Of label maps, see :func:`label_similarity`. Defaults to ``'classes'``.
        window (int): Side of SSIM's window in pixels. Defaults to 7.
        workers (int): Number of processes; the result does not depend on it. Defaults to 1.
        record_dir (str | Path, optional): Folder of a record per finished video. Another run with the same folder
            skips the videos that are finished, unless their files or the settings have changed. Defaults to None: all
            videos are done.

    Returns:
        list[VideoChoice]: One per video, sorted by name.

    Raises:
        FileNotFoundError: A folder is missing, or the models did not predict the same frames, or an image is missing.
        UsageError: There are fewer than two models, an argument is out of range, or the output folder is in one of the
            inputs.
        DataError: A file is damaged, or the label maps of a video differ in size.
    """
    require_window(window)
    if len(predictions) < 2:
        raise UsageError(f'{len(predictions)} folder(s) of predictions: there is nothing to choose, give two or more')
    require_placeholder(images)
    output_dir = Path(output_dir)
    for name, folder in predictions.items():
        if Path(folder).resolve() in (output_dir.resolve(), *output_dir.resolve().parents):
            raise UsageError(f'the output folder "{output_dir}" is that of model "{name}" or inside it: choose '
                             'another one')
    jobs = list(_list_videos(images, {name: Path(folder) for name, folder in predictions.items()}))
    choose = partial(_choose, output_dir=output_dir, treatment=treatment, window=window,
                     record_dir=None if record_dir is None else Path(record_dir))
    return list(run_jobs(choose, jobs, workers))


class _Video(NamedTuple):
    """Files of one video: its images, and each model's predictions."""
    name: str
    images: list[Path]
    predictions: dict[str, list[Path]]


def _list_videos(images: str, folders: dict[str, Path]) -> Iterator[_Video]:
    """Check that all models predicted the same frames, and that there are images of them."""
    videos = {name: videos_in(folder) for name, folder in folders.items()}
    first = next(iter(folders))
    for name, names in videos.items():
        different = sorted(set(names) ^ set(videos[first]))
        if different:
            raise FileNotFoundError(f'models "{first}" and "{name}" predicted different videos: {different[0]} '
                                    f'({len(different)} in all) is in one of "{folders[first]}" and "{folders[name]}"')
    for video in videos[first]:
        frames = {name: files_in(folder / video, ('.png', )) for name, folder in folders.items()}
        files = files_in(Path(images.replace('{video}', video)), FRAME_SUFFIXES)
        for name, found in frames.items():
            different = sorted(set(found) ^ set(frames[first]))
            if different or not found:
                raise FileNotFoundError(f'video "{video}": models "{first}" and "{name}" predicted different frames: '
                                        f'{", ".join(different[:5]) or "none at all"}')
        missing = sorted(set(frames[first]) - set(files))
        if missing:
            raise FileNotFoundError(f'video "{video}": "{images.replace("{video}", video)}" has no image of frame '
                                    f'{missing[0]} ({len(missing)} missing)')
        names = sorted(frames[first], key=natural_key)
        yield _Video(video, [files[frame] for frame in names],
                     {name: [found[frame] for frame in names] for name, found in frames.items()})


def _choose(video: _Video, output_dir: Path, treatment: str, window: int, record_dir: Path | None) -> VideoChoice:
    """Score the models on one video and copy the best prediction."""
    target = output_dir / video.name
    if record_dir is not None:
        record = record_dir / f'{video.name}.json'
        settings = dict(models=list(video.predictions), treatment=treatment, window=window)
        digest = fingerprint(settings, [*video.images, *(path for of in video.predictions.values() for path in of)])
        known = read_record(record, digest)
        if known is not None and set(files_in(target, ('.png', ))) == {path.stem for path in video.images}:
            return VideoChoice(**known)
    frames = prefetch(_read_frame, zip(video.images, zip(*video.predictions.values())))
    try:
        scores = dict(zip(video.predictions, motion_consistency(frames, treatment, window).tolist()))
    except ValueError as error:
        raise DataError(f'video "{video.name}": {error}') from error
    chosen = max(video.predictions, key=lambda name: -2.0 if np.isnan(scores[name]) else scores[name])
    with atomic_folder(target) as draft:
        for path in video.predictions[chosen]:
            shutil.copyfile(path, draft / path.name)
    choice = VideoChoice(video.name, len(video.images), scores, chosen)
    if record_dir is not None:
        write_record(record, digest, choice._asdict())
    return choice


def _read_frame(files: tuple[Path, tuple[Path, ...]]) -> tuple[np.ndarray, list[np.ndarray]]:
    image, predictions = files
    grey = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise DataError(f'image "{image}" cannot be decoded: restore the file')
    return grey, [read_label_map(str(path)) for path in predictions]

