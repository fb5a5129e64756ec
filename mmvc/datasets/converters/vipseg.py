# Copyright (c) The mmvc contributors. All rights reserved.
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmvc.datasets.metainfo.vspw import VSPW_CLASSES, VSPW_PALETTE, VSPW_THING_CLASSES
from mmvc.formats import vipseg
from mmvc.formats.label_maps import encode_panoptic_map, read_panoptic_map
from mmvc.formats.vspw import require_frames
from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_write
from mmvc.utils.batch import Failure, report_broken
from mmvc.utils.errors import DataError
from mmvc.utils.files import FRAME_SUFFIXES, files_in, videos_in
from mmvc.utils.folder_lock import hold_folder
from mmvc.utils.jobs import run_jobs
from mmvc.utils.outputs import protect_inputs

from .files import (
    check_videos,
    copy_list,
    encode_frame,
    encode_mask,
    is_whole,
    keep_settings,
    open_frame,
    open_image,
    open_mask,
    read_lists,
    size_at_height,
)
from .panoptic_ids import SegmentIds

CATEGORIES = tuple(
    dict(id=index, name=name, isthing=int(name in VSPW_THING_CLASSES), color=list(colour))
    for index, (name, colour) in enumerate(zip(VSPW_CLASSES, VSPW_PALETTE)))
SOURCE_FRAMES = 'imgs'  # folder of the frames in the download
RECORDS = '.records'  # annotations of finished videos, so that an interrupted run can continue


def convert_vipseg(src: Path,
                   dst: Path,
                   height: int = 720,
                   quality: int = 75,
                   workers: int = 1,
                   dry_run: bool = False,
                   categories: Sequence[dict] = CATEGORIES,
                   overwrite: bool = False,
                   keep_going: bool = False) -> dict[str, int]:
    """Resize VIPSeg and write its masks and annotations in the panoptic format, as the official scripts do.

    Every colour mask is read back and compared before its video counts as finished.

    Args:
        src (Path): Root of the download: ``imgs/<video>/*.jpg``, ``panomasks/<video>/*.png`` (not for test videos) and
            ``{train,val,test}.txt``.
        dst (Path): Root of the result: ``images``, ``panomasks``, ``panomasksRGB`` and
            ``panoptic_gt_VIPSeg{,_<split>}.json``. Finished videos in it are kept, unless a file of theirs is missing
            or damaged.
        height (int): Height of the result in pixels. Defaults to 720.
        quality (int): JPEG quality, 1 to 100. Defaults to 75.
        workers (int): Number of processes. Defaults to 1.
        dry_run (bool): Whether to only count. Defaults to False.
        categories (sequence[dict]): ``id``, ``name``, ``isthing`` and ``color`` of the classes. Defaults to VIPSeg's.
        overwrite (bool): Whether to convert everything again. Defaults to False.
        keep_going (bool): Whether to go on with the other videos if files of one are broken or missing, and to name
            all of those in the end. Defaults to False: the first one is an error.

    Returns:
        dict[str, int]: Counts: ``videos``, ``frames``, ``unlabelled_videos`` and ``already_there`` (videos).

    Raises:
        FileNotFoundError: ``src`` is not VIPSeg, or a frame of a labelled video has no mask.
        UsageError: ``height`` or ``quality`` is out of range, or ``dst`` was converted with another one, is ``src``
            or within it, or is in use by another process.
        DataError: A file cannot be decoded, frame and mask differ in size, a mask has no frame or a value without a
            class, or two files are of one frame.
    """
    check_number('height', height, 1, whole=True)
    check_number('quality', quality, 1, 100, whole=True)
    videos = videos_in(src / SOURCE_FRAMES)
    folders = (dst / folder / video for video in videos for folder in (vipseg.FRAMES, vipseg.RAW_MASKS, vipseg.MASKS))
    protect_inputs([dst, dst / RECORDS, *folders], [src], 'DST')
    lists = read_lists(src, videos)
    intact, broken = check_videos(lambda video: _check_files(src, video), videos, keep_going)
    records = {video: dst / RECORDS / f'{video}.json' for video in videos}
    noted = [] if overwrite else [video for video in intact if records[video].exists()]
    whole = run_jobs(partial(_is_finished, dst, height), [(video, records[video]) for video in noted], workers)
    finished = {video for video, is_finished in zip(noted, whole) if is_finished}
    counts = dict(
        videos=len(videos),
        frames=sum(len(_frames(src, video)) for video in intact),
        unlabelled_videos=sum(not (src / vipseg.RAW_MASKS / video).is_dir() for video in videos),
        already_there=len(finished))
    if dry_run:
        if broken:
            report_broken(broken, len(videos), 'counted')
        return counts
    with hold_folder(dst):
        if overwrite:  # before the settings are noted: no video of others counts as finished then
            for record in records.values():
                record.unlink(missing_ok=True)
        keep_settings(dst, dict(height=height, quality=quality), overwrite)
        convert = partial(_convert_video, src, dst, height, quality, categories)
        todo = [video for video in intact if video not in finished]
        for video, record in zip(todo, run_jobs(convert, todo, workers, keep_going)):
            if isinstance(record, Failure):
                broken[video] = record.error
            else:
                atomic_write(records[video], json.dumps(record).encode())
        if broken:  # annotations of a part would not tell that it is one
            report_broken(broken, len(videos), 'converted')
        loaded = {video: json.loads(path.read_bytes()) for video, path in records.items()}
        lists[''] = {video for video, record in loaded.items() if record['annotation'] is not None}
        for split, names in lists.items():
            vipseg.write_annotations(dst / vipseg.ann_file(split),
                                     [record for video, record in loaded.items() if video in names], categories)
            if split:
                copy_list(src, dst, split)
    return counts


def _frames(src: Path, video: str) -> dict[str, Path]:
    return files_in(src / SOURCE_FRAMES / video, FRAME_SUFFIXES)


def _check_files(src: Path, video: str) -> None:
    """Raise an error if frames and masks do not match."""
    frames, masks = _frames(src, video), files_in(src / vipseg.RAW_MASKS / video, ('.png', ))
    require_frames(video, src / SOURCE_FRAMES / video, frames, masks)
    without = [name for name in frames if name not in masks] if (src / vipseg.RAW_MASKS / video).is_dir() else []
    if without:
        missing = vipseg.mask_file(src, video, without[0], vipseg.RAW_MASKS)
        raise FileNotFoundError(f'frame "{frames[without[0]]}" has no mask "{missing}": download the masks again')


def _is_finished(dst: Path, height: int, job: tuple[str, Path]) -> bool:
    """Whether all files that the record of a video names exist, are complete and have the height."""
    video, record = job
    try:
        content = json.loads(record.read_bytes())
        images, annotation = content['video']['images'], content['annotation']
    except (ValueError, KeyError, TypeError):  # it is damaged
        return False
    folders = [] if annotation is None else [vipseg.RAW_MASKS, vipseg.MASKS]
    for image in images:
        name = image['id']
        files = [vipseg.frame_file(dst, video, name), *(vipseg.mask_file(dst, video, name, of) for of in folders)]
        if not all(is_whole(file, (image['width'], height)) for file in files):
            return False
    return True


def _convert_video(src: Path, dst: Path, height: int, quality: int, categories: Sequence[dict],
                   video: str) -> dict:
    """Write the files of a video; returns its entries of the annotation files."""
    segment_ids = SegmentIds(video, categories)
    labelled = (src / vipseg.RAW_MASKS / video).is_dir()
    masks = files_in(src / vipseg.RAW_MASKS / video, ('.png', ))
    recorder = vipseg.VideoRecorder(video, labelled)
    for name, path in _frames(src, video).items():
        frame = open_frame(path)
        size = size_at_height(frame.size, height)
        content = encode_frame(path, frame, size, quality)
        atomic_write(vipseg.frame_file(dst, video, name), content, sync=False)
        segments = _convert_mask(masks[name], dst, video, frame.size, size, segment_ids) if labelled else None
        recorder.add(name, size, segments)
    return recorder.record()


def _convert_mask(path: Path, dst: Path, video: str, frame_size: tuple[int, int], size: tuple[int, int],
                  segment_ids: SegmentIds) -> list[dict]:
    mask = open_mask(path)
    if mask.size != frame_size:
        raise DataError(f'mask "{path}" (width, height = {mask.size}) differs in size from its frame {frame_size}: '
                         'download both again')
    raw_target = vipseg.mask_file(dst, video, path.stem, vipseg.RAW_MASKS)
    atomic_write(raw_target, encode_mask(mask, size), sync=False)
    try:
        ids, segments = segment_ids.encode(np.asarray(open_image(raw_target)))
    except (ValueError, TypeError) as error:
        raise DataError(f'mask "{path}": {error}') from error
    target = vipseg.mask_file(dst, video, path.stem)
    atomic_write(target, encode_panoptic_map(ids), sync=False)
    if not np.array_equal(read_panoptic_map(str(target)), ids):
        raise OSError(f'"{target}" does not hold what was written to it: check the disk, and run again')
    return segments
