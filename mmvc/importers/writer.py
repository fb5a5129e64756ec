# Copyright (c) The mmvc contributors. All rights reserved.
"""Writes the videos of an annotation source as a dataset that a config of this package trains on."""

import hashlib
import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmvc.datasets.converters.files import SETTINGS, keep_settings
from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_folder, atomic_write
from mmvc.utils.batch import BROKEN, report_broken
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import IMAGE_SUFFIXES, files_in
from mmvc.utils.folder_lock import LOCK, hold_folder
from mmvc.utils.image_files import find_excess
from mmvc.utils.names import check_name, output_path
from mmvc.utils.natural_order import natural_key
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.progress import ProgressBars
from mmvc.utils.typing import PathLike
from mmvc.utils.worker_errors import message_of

from .classes import ClassMap, choose_classes
from .config_file import NAME as CONFIG, config_text
from .frames import LINKS, choose_suffix, write_frames
from .layouts import LAYOUTS, Layout, VideoLabels
from .source import AnnotationSource, Region, SourceFrame, SourceVideo
from .summary import ImportSummary

RECORDS, _RECORD = '.records', 'record.json'  # a folder for each finished video, and what lies in it


def import_videos(source: AnnotationSource,
                  out_dir: PathLike,
                  layout: str = 'semantic',
                  *,
                  classes: Sequence[str] | None = None,
                  void: Sequence[str] = (),
                  background: str | None = None,
                  stuff: Sequence[str] = (),
                  val: Sequence[str] = (),
                  val_share: float = 0.2,
                  all_labelled: bool = False,
                  link: str = 'copy',
                  image_format: str | None = None,
                  inputs: Sequence[PathLike] = (),
                  options: Mapping[str, object] | None = None,
                  overwrite: bool = False) -> ImportSummary:
    """Write a dataset with the frames and labels of a source, and a config that trains on it.

    A frame without labels stays as context: it gets no mask. A video without any labels is left out. Finished videos
    are kept if the import is interrupted, and the next one goes on from there. Lists, annotation files and config are
    written last.

    Args:
        source (AnnotationSource): The source.
        out_dir (str | Path): Folder of the dataset.
        layout (str): ``'semantic'`` (:class:`BaseVideoSegDataset`), ``'instances'`` (YouTube-VIS) or ``'panoptic'``
            (VIPSeg). Defaults to 'semantic'.
        classes (Sequence[str], optional): See :func:`choose_classes`. Defaults to None.
        void (Sequence[str]): See :func:`choose_classes`. Defaults to ().
        background (str, optional): See :func:`choose_classes`. Defaults to None.
        stuff (Sequence[str]): See :func:`choose_classes`. Defaults to ().
        val (Sequence[str]): Names of the validation videos. Defaults to (): ``val_share`` of them.
        val_share (float): Share of the videos to validate on, 0 to 1. The choice depends on the names of the videos.
            Without any, validation uses the training videos. Defaults to 0.2.
        all_labelled (bool): Whether a frame without regions has no objects, instead of no labels. Defaults to False.
        link (str): How images get into the dataset: ``'copy'``, ``'hardlink'`` or ``'symlink'``. Defaults to 'copy'.
        image_format (str, optional): ``'jpg'`` or ``'png'``. Defaults to None: that of the images, and JPEG for the
            frames of video files.
        inputs (Sequence[str | Path]): Files and folders that the source reads. They are protected, and an unfinished
            import goes on only if they have not changed. Defaults to ().
        options (Mapping[str, object], optional): The format, and what else the reader was told. An unfinished import
            goes on only with the same. Defaults to None.
        overwrite (bool): Whether to import everything again. Defaults to False.

    Returns:
        ImportSummary: Counts.

    Raises:
        UsageError: An option does not fit the source; or ``out_dir`` holds something else, was written with other
            options, or is in use.
        DataError: Labels or frames are missing or damaged, or the names of videos cannot be folders.
    """
    if layout not in LAYOUTS or link not in LINKS:
        raise UsageError(f'the layout must be one of {", ".join(LAYOUTS)}, and link one of {", ".join(LINKS)}; got '
                         f'"{layout}" and "{link}"')
    check_number('val_share', val_share, 0, 1)
    root = Path(out_dir)
    class_map = choose_classes(source, layout, classes, void, background, stuff)
    require_tracks(source, layout, class_map)
    videos, unlabelled = _usable_videos(source, all_labelled)
    inputs = [*inputs, *source.inputs]
    split_of = choose_split([video.name for video in videos], val, val_share)
    suffix = choose_suffix(videos, image_format)
    protect_inputs([root], {**dict.fromkeys(_image_folders(videos), 'images'),
                            **dict.fromkeys(inputs, 'annotations')}, 'OUT')
    settings = dict(layout=layout, classes=_in_words(class_map), validation=_hash(sorted(split_of.items())),
                    frames=f'{link} {suffix}', labels='all' if all_labelled else 'drawn',
                    annotations=fingerprint(inputs),
                    options=' '.join(f'{name}={value}' for name, value in sorted((options or {}).items())) or 'none')
    is_begun = (root / CONFIG).exists() or any((root / RECORDS).rglob(_RECORD))
    _require_own(root, layout, overwrite and is_begun)
    with hold_folder(root):
        if overwrite:
            for video in videos:
                _record_path(root, video.name).unlink(missing_ok=True)
        keep_settings(root, settings, overwrite or not is_begun)  # before a video is finished, nothing is lost
        writer = LAYOUTS[layout](root, class_map, split_of)
        records = _write_videos(source, videos, writer, suffix, link, all_labelled)
        is_sparse = any(record['labelled'] < record['frames'] for record in records.values())
        has_val = 'val' in split_of.values()
        for split in ('train', 'val') if has_val else ('train', ):
            writer.write_index(split, {name: record['index'] for name, record in records.items()
                                       if split_of[name] == split}, suffix)
        text = config_text(root, layout, class_map, suffix, is_sparse, 'val' if has_val else 'train')
        atomic_write(root / CONFIG, text.encode())
    return ImportSummary(root / CONFIG, class_map.names, split_of, records, unlabelled, [*source.notes])


def require_tracks(source: AnnotationSource, layout: str, classes: ClassMap) -> None:
    """Raise an error if a layout needs tracks that a source does not have.

    Args:
        source (AnnotationSource): The source.
        layout (str): The layout.
        classes (ClassMap): The classes.

    Raises:
        UsageError: There are no tracks.
    """
    if layout == 'semantic' or source.has_tracks or not any(classes.is_thing):
        return
    raise UsageError(f'the layout {layout} needs track ids, which say that objects of different frames are the same '
                     'one, and these annotations have none. Draw tracks in the tool, export a format that keeps their '
                     'ids, name classes whose objects need not be told apart (--stuff, for the layout panoptic), or '
                     'use the layout semantic (--layout)')


def choose_split(videos: Sequence[str], val: Sequence[str] = (), val_share: float = 0.2) -> dict[str, str]:
    """Choose which videos to train and to validate on.

    Args:
        videos (Sequence[str]): Names of the videos.
        val (Sequence[str]): Names of the validation videos. Defaults to (): chosen by a hash of the names, so that
            few videos change their split when others are added.
        val_share (float): Share of the videos to validate on; one at least stays for training. Defaults to 0.2.

    Returns:
        dict[str, str]: ``'train'`` or ``'val'`` by name of the video, in the order of ``videos``.

    Raises:
        UsageError: A validation video does not exist, or none is left for training.
    """
    unknown = [name for name in val if name not in videos]
    if unknown:
        raise UsageError(f'there is no labelled video "{unknown[0]}" to validate on (--val): the videos are '
                         f'{named(list(videos))}')
    if val:
        chosen = set(val)
    else:
        count = min(round(len(videos) * val_share) or int(val_share > 0), len(videos) - 1)
        chosen = set(sorted(videos, key=_hash)[:count])
    if len(chosen) == len(videos):
        raise UsageError('all videos are for validation (--val): leave at least one for training')
    return {name: 'val' if name in chosen else 'train' for name in videos}


def fingerprint(paths: Sequence[PathLike]) -> str:
    """Hash of the names, sizes and times of files, and of those in folders, whose places in the folder count.

    Args:
        paths (Sequence[str | Path]): Files and folders.
    """
    lines = []
    for path in paths:
        files = [Path(path)] if Path(path).is_file() else \
            [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
        for file in sorted(files):
            status = file.stat()
            name = file.name if file == Path(path) else file.relative_to(path).as_posix()
            lines.append(f'{name} {status.st_size} {status.st_mtime_ns}')
    return _hash(lines)


def _usable_videos(source: AnnotationSource, all_labelled: bool) -> tuple[list[SourceVideo], list[str]]:
    """Videos with labels, after a check of their names and sizes; and the names of those without labels."""
    videos = source.videos()
    names: set[str] = set()
    for video in videos:
        check_name(video.name, 'names of the videos')
        if os.path.normpath(video.name) != video.name:
            raise DataError(f'the video "{video.name}" has a name that is no folder: rename it, for example to '
                            f'"{os.path.normpath(video.name)}"')
        if video.name.replace('\ufeff', '').strip() != video.name:
            raise DataError(f'the video {video.name!r} has a name that begins or ends with a space or a mark, which '
                            'lists of videos cannot hold: rename it')
        if video.name in names:
            raise DataError(f'two videos are called "{video.name}": rename one of them')
        names.add(video.name)
        if not video.frames:
            raise DataError(f'video "{video.name}" has no frames: give the folder of its images, or its video file '
                            '(--images)')
        excess = find_excess(video.size[0] * video.size[1])
        if excess is not None or min(video.size) < 1:
            raise DataError(f'video "{video.name}" has the size {video.size} (height, width): '
                            f'{excess or "correct it in the annotations"}')
    for name in names:
        above = [str(folder) for folder in Path(name).parents if str(folder) in names]
        if above:
            raise DataError(f'the folder of video "{above[0]}" would hold that of video "{name}": rename one of them')
    used = [video for video in videos if all_labelled or any(frame.labelled for frame in video.frames)]
    if not used:
        raise DataError('no frame of any video has labels: label some in the tool, and export again'
                        if videos else 'the annotations have no videos: export them again')
    return used, [video.name for video in videos if video not in used]


def _image_folders(videos: Sequence[SourceVideo]) -> set[Path]:
    return {frame.image.parent for video in videos for frame in video.frames if frame.image is not None} | \
        {video.video_file for video in videos if video.video_file is not None}


def _require_own(root: Path, layout: str, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or a dataset in another layout."""
    if root.exists() and not root.is_dir():
        raise UsageError(f'"{root}" is a file: give a folder for the dataset')
    if not root.is_dir():
        return
    strange = sorted(path.name for path in root.iterdir() if path.name != LOCK)
    if not strange:
        return
    before = _settings_of(root)
    if before is None or before and 'layout' not in before:
        raise UsageError(f'"{root}" holds "{strange[0]}" and is not an imported dataset: give a new folder')
    if overwrite and before.get('layout', layout) != layout:
        raise UsageError(f'"{root}" has the layout {before["layout"]}: give another folder for the layout {layout}')


def _settings_of(root: Path) -> dict | None:
    """The settings that a folder was written with, by this or another converter; empty if the file is damaged."""
    try:
        return dict(json.loads((root / SETTINGS).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return {}  # `overwrite` repairs it


def _write_videos(source: AnnotationSource, videos: Sequence[SourceVideo], layout: Layout, suffix: str, link: str,
                  all_labelled: bool) -> dict[str, dict]:
    """Write the videos that are not finished; return the records of all, by name of the video."""
    records = {video.name: _finished(layout, video, suffix) for video in videos}
    todo = [video for video in videos if records[video.name] is None]
    broken: dict[str, str] = {}

    def work() -> Iterator[None]:
        for video in todo:
            try:
                records[video.name] = yield from _write_video(source, video, layout, suffix, link, all_labelled)
            except BROKEN as error:
                broken[video.name] = message_of(error)

    with ProgressBars('frames', enabled=bool(todo)) as progress:
        for _ in progress.track(work(), sum(len(video.frames) for video in todo), 'importing'):
            pass
    if broken:  # lists of a part would not tell that it is one
        report_broken(broken, len(videos), 'imported')
    return {name: record for name, record in records.items() if record is not None}


def _write_video(source: AnnotationSource, video: SourceVideo, layout: Layout, suffix: str, link: str,
                 all_labelled: bool) -> Generator[None, None, dict]:
    """Write frames and labels of a video, one frame for each step; returns its record."""
    names = _frame_names(video.frames)
    mask_folder = layout.mask_folder(video.name)
    with ExitStack() as stack:
        frames = stack.enter_context(atomic_folder(layout.frame_folder(video.name), replaces=IMAGE_SUFFIXES))
        masks = None if mask_folder is None else stack.enter_context(atomic_folder(mask_folder, replaces=('.png', )))
        yield from write_frames(video, names, frames, suffix, link)
        labels = layout.labels(video, layout.classes, masks)
        num_labelled = _write_labels(source, video, names, labels, all_labelled)
    record = dict(
        frames=len(names), labelled=num_labelled, size=list(video.size), index=labels.record(),
        pixels=_by_name(labels, labels.pixels), shown=_by_name(labels, labels.frames),
        objects=_by_name(labels, labels.objects))
    atomic_write(_record_path(layout.root, video.name), json.dumps(record).encode())
    return record


def _write_labels(source: AnnotationSource, video: SourceVideo, names: Sequence[str], labels: VideoLabels,
                  all_labelled: bool) -> int:
    """Write the labels of a video; return the number of labelled frames."""
    regions, count = source.regions(video), 0
    for frame, name in zip(video.frames, names):
        found: list[Region] | None = [] if all_labelled else None
        if frame.labelled:
            found = next(regions)
        labels.add(name, found)
        count += found is not None
    return count


def _by_name(labels: VideoLabels, counts: Mapping[int, int]) -> dict[str, int]:
    return {labels.classes.names[index]: count for index, count in sorted(counts.items())}


def _frame_names(frames: Sequence[SourceFrame]) -> list[str]:
    """Names of the frames, or numbers if these names are no file names or would be sorted in another order."""
    names = [frame.name for frame in frames]
    are_files = all(name and '/' not in name and not name.startswith('.') for name in names)
    if are_files and len(set(names)) == len(names) and sorted(names, key=natural_key) == names:
        for name in names:
            check_name(name, 'names of the frames')
        return names
    return [f'{index:06d}' for index in range(len(frames))]


def _record_path(root: Path, video: str) -> Path:
    return output_path(root / RECORDS, video) / _RECORD


def _finished(layout: Layout, video: SourceVideo, suffix: str) -> dict | None:
    """Record of a video whose files are all there; None otherwise."""
    try:
        record = json.loads(_record_path(layout.root, video.name).read_bytes())
        numbers = (int(record['frames']), int(record['labelled']))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    masks = layout.mask_folder(video.name)
    found = len(files_in(layout.frame_folder(video.name), (suffix, )))
    if found != numbers[0] or masks is not None and len(files_in(masks, ('.png', ))) != numbers[1]:
        return None
    return record


def _in_words(classes: ClassMap) -> str:
    """Classes and where they come from, short enough for a message."""
    return f'{named(list(classes.names))} ({_hash([classes.names, classes.index_of, classes.is_thing])[:8]})'


def _hash(value: Any) -> str:
    return hashlib.sha256(repr(value).encode('utf-8', 'backslashreplace')).hexdigest()[:16]
