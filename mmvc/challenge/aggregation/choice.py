# Copyright (c) The mmvc contributors. All rights reserved.
"""Choose, for each video, the model whose prediction follows the motion in the images (arXiv 2406.04979, Eq. 5-7)."""

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmvc.formats.label_maps import read_label_map
from mmvc.utils.atomic import atomic_folder
from mmvc.utils.batch import Failure, attempt
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import IMAGE_SUFFIXES, PREDICTION_SUFFIXES, files_in, files_of, require_placeholder, videos_in
from mmvc.utils.folder_lock import hold_folder
from mmvc.utils.image_files import read_image
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.names import output_path
from mmvc.utils.outputs import protect_inputs

from ..records import fingerprint, read_record, write_record
from .motion import estimate_motion, warp_labels
from .ssim import WINDOW, label_similarity, require_window


class VideoChoice(NamedTuple):
    """The model that was chosen for a video.

    Attributes:
        video (str): Name of the video.
        frames (int): Number of its frames.
        scores (dict[str, float]): Motion consistency of each model. NaN where it is undefined (a single frame).
        chosen (str): The model with the highest score. If scores are equal or undefined, the model that was named
            first.
        error (str | None): Why there is no choice; None if there is one.
    """
    video: str
    frames: int
    scores: dict[str, float]
    chosen: str
    error: str | None = None


def motion_consistency(frames: Iterable[tuple[np.ndarray, Sequence[np.ndarray]]],
                       treatment: str = 'classes',
                       window: int = WINDOW) -> np.ndarray:
    """Measure how well the label maps of each model follow the motion in the images of a video.

    For every two consecutive frames, the earlier label map is warped to the later frame and compared with the
    predicted one by SSIM. Pixels that enter the frame or were occluded do not count. The score is the mean over the
    pairs of frames. The motion is estimated once for all models. Only two frames are in memory at a time.

    Args:
        frames (Iterable[tuple]): For each of T frames, the image (grey, uint8 (h, w)) and the label maps of M models
            (uint8 (H, W) each). The image is resized if the label maps have another size.
        treatment (str): How label maps are compared, see :func:`label_similarity`. Defaults to ``'classes'``.
        window (int): Side of the SSIM window in pixels. Defaults to 7.

    Returns:
        np.ndarray: Scores in [-1, 1], the higher the better, float64 (M,). NaN if T < 2 or if no pixel could be
        compared.

    Raises:
        DataError: The label maps differ in size.
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
                      record_dir: str | Path | None = None,
                      keep_going: bool = False) -> list[VideoChoice]:
    """Choose a model for every video and copy the chosen predictions into one folder.

    Args:
        images (str): Folder with the frames of a video. ``{video}`` stands for the name of the video.
        predictions (Mapping[str, str | Path]): Name of a model -> its folder of ``<video>/<frame>.png``, 8-bit class
            indices. Two or more models. The first one is chosen if scores are equal.
        output_dir (str | Path): Folder for the chosen ``<video>/<frame>.png``, copied unchanged. The folder of a video
            appears when it is complete and replaces an older one.
        treatment (str): How label maps are compared, see :func:`label_similarity`. Defaults to ``'classes'``.
        window (int): Side of the SSIM window in pixels. Defaults to 7.
        workers (int): Number of processes. The result does not depend on it. Defaults to 1.
        record_dir (str | Path, optional): Folder with a record of each finished video. A later run with the same
            folder skips these videos, unless their files or the settings have changed. Defaults to None: score all
            videos.
        keep_going (bool): Whether to go on with the other videos if files of one are broken or missing. Its choice
            then has an ``error``, and nothing is copied. Defaults to False: it is an error.

    Returns:
        list[VideoChoice]: One per video, sorted by name.

    Raises:
        FileNotFoundError: A folder or an image is missing, or the models predicted different videos or frames.
        UsageError: There are fewer than two models, an argument is out of range, the output folder is one of the
            input folders, contains one or is inside one, or another process writes to it.
        DataError: A file is damaged, or the label maps of a video differ in size.
    """
    require_window(window)
    if len(predictions) < 2:
        raise UsageError(f'{len(predictions)} folder(s) of predictions leave nothing to choose: give two or more')
    require_placeholder(images)
    output_dir = Path(output_dir)
    protect_inputs([output_dir, record_dir],
                   {folder: f'that of model "{name}"' for name, folder in predictions.items()}, '--out, --records')
    folders = {name: Path(folder) for name, folder in predictions.items()}
    find = partial(_find_files, images, folders)
    found = {video: attempt(find, video, keep_going=keep_going) for video in _list_videos(folders)}
    jobs = [job for job in found.values() if not isinstance(job, Failure)]
    if not jobs:  # something concerns them all
        find(next(iter(found)))
    frames = {path.parent for job in jobs for path in job.images} | {images.replace('{video}', name) for name in found}
    protect_inputs([output_dir, record_dir], frames, '--out, --records')
    choose = partial(_choose, output_dir=output_dir, treatment=treatment, window=window,
                     record_dir=None if record_dir is None else Path(record_dir))
    with hold_folder(output_dir):
        found.update(zip([job.name for job in jobs], run_jobs(choose, jobs, workers, keep_going)))
    return [VideoChoice(video, 0, {}, '', choice.error) if isinstance(choice, Failure) else choice
            for video, choice in found.items()]


class _Video(NamedTuple):
    """The files of a video: its images, and the predictions of each model, in the order of the frames."""
    name: str
    images: list[Path]
    predictions: dict[str, list[Path]]


def _list_videos(folders: dict[str, Path]) -> list[str]:
    """List the videos; check that all models predicted the same."""
    videos = {name: videos_in(folder) for name, folder in folders.items()}
    first = next(iter(folders))
    for name, names in videos.items():
        different = sorted(set(names) ^ set(videos[first]))
        if different:
            raise FileNotFoundError(f'models "{first}" and "{name}" predicted different videos: {different[0]} '
                                    f'({len(different)} in all) is in only one of the folders "{folders[first]}" and '
                                    f'"{folders[name]}"')
    return videos[first]


def _find_files(images: str, folders: dict[str, Path], video: str) -> _Video:
    """List the files of a video; check that all models predicted the same frames and that these have images."""
    first = next(iter(folders))
    frames = {name: files_in(folder / video, ('.png', )) for name, folder in folders.items()}
    files = files_of(images.replace('{video}', video), IMAGE_SUFFIXES, frames[first])
    for name, found in frames.items():
        different = sorted(set(found) ^ set(frames[first]))
        if different or not found:
            raise FileNotFoundError(f'video "{video}": models "{first}" and "{name}" predicted different frames: '
                                    f'{", ".join(different[:5]) or "none at all"}')
    missing = sorted(set(frames[first]) - set(files))
    if missing:
        raise FileNotFoundError(f'video "{video}": "{images.replace("{video}", video)}" has no image of frame '
                                f'{missing[0]} ({len(missing)} missing)')
    without = sorted(set(files) - set(frames[first]))
    if without:
        from mmengine.logging import print_log  # slow to import, and not needed for --help
        print_log(f'video "{video}": {len(without)} images have no prediction: {named(without)}',
                  level=logging.WARNING)
    names = list(frames[first])  # in natural order
    return _Video(video, [files[frame] for frame in names],
                  {name: [found[frame] for frame in names] for name, found in frames.items()})


def _choose(video: _Video, output_dir: Path, treatment: str, window: int, record_dir: Path | None) -> VideoChoice:
    """Score the models on one video and copy the best prediction."""
    target = output_path(output_dir, video.name)
    if record_dir is not None:
        record = output_path(record_dir, video.name, suffix='.json')
        settings = dict(models=list(video.predictions), treatment=treatment, window=window)
        files = [*video.images, *(path for paths in video.predictions.values() for path in paths)]
        digest = fingerprint(settings, files)
        known = read_record(record, digest)
        names = {path.stem for path in next(iter(video.predictions.values()))}
        if known is not None and set(files_in(target, ('.png', ))) == names:
            return VideoChoice(**known)
    frames = prefetch(_read_frame, zip(video.images, zip(*video.predictions.values())))
    try:
        scores = dict(zip(video.predictions, motion_consistency(frames, treatment, window).tolist()))
    except ValueError as error:
        raise DataError(f'video "{video.name}": {error}') from error
    # undefined scores count less than the lowest SSIM, -1
    chosen = max(video.predictions, key=lambda name: -2.0 if np.isnan(scores[name]) else scores[name])
    with atomic_folder(target, replaces=PREDICTION_SUFFIXES) as draft:
        for path in video.predictions[chosen]:
            shutil.copyfile(path, draft / path.name)
    choice = VideoChoice(video.name, len(video.images), scores, chosen)
    if record_dir is not None:
        write_record(record, digest, {key: value for key, value in choice._asdict().items() if key != 'error'})
    return choice


def _read_frame(files: tuple[Path, tuple[Path, ...]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Read the grey image of a frame and the label maps of all models."""
    image, predictions = files
    return read_image(image, cv2.IMREAD_GRAYSCALE), [read_label_map(str(path)) for path in predictions]
