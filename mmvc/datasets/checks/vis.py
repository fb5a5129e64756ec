# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pycocotools import mask as mask_utils

from mmvc.datasets.ovis import OVISDataset
from mmvc.datasets.youtube_vis import YouTubeVISDataset
from mmvc.formats import youtube_vis
from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError
from mmvc.utils.jobs import run_jobs

from .report import CheckReport

CLASSES = dict(
    youtube_vis_2019=YouTubeVISDataset.VERSIONS['2019']['classes'],
    youtube_vis_2021=YouTubeVISDataset.VERSIONS['2021']['classes'],
    youtube_vis_2022=YouTubeVISDataset.VERSIONS['2022']['classes'],
    ovis=OVISDataset.METAINFO['classes'])
NUM_VIDEOS = dict(
    youtube_vis_2019=dict(train=2238, valid=302, test=343),
    youtube_vis_2021=dict(train=2985, valid=421, test=453),
    youtube_vis_2022=dict(train=2985, valid=421 + 71),  # those of 2021 and the long videos; the test set is not known
    ovis=dict(train=607, valid=140, test=154))


def check_vis(root: Path,
              benchmark: str,
              splits: Sequence[str] = ('train', 'valid'),
              workers: int = 1,
              quick: bool = False,
              own: bool = False) -> CheckReport:
    """Check YouTube-VIS or OVIS, or your own dataset in their format.

    Args:
        root (Path): Root of the dataset.
        benchmark (str): ``'youtube_vis_2019'``, ``'youtube_vis_2021'``, ``'youtube_vis_2022'`` or ``'ovis'``.
        splits (sequence[str]): Splits; only ``train`` needs annotations. Defaults to ``('train', 'valid')``.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and no masks. Defaults to False.
        own (bool): Whether it is another dataset in this format, whose totals and classes are not known. Defaults to
            False.

    Returns:
        CheckReport: The findings.
    """
    report = CheckReport()
    for split in splits:
        known = len(report.problems)
        path = root / youtube_vis.find_path(root, split, youtube_vis.ANN_FILES)
        report.count(split, videos=0, frames=0, labelled=0, instances=0)
        content = report.read_json(path, youtube_vis.SCHEMA)
        if content is None:
            continue
        names = {category['name'] for category in content['categories']}
        if not own and names != set(CLASSES[benchmark]):
            report.add('annotation', f'{path}: the categories are not the classes of the benchmark; they differ by '
                                     f'{sorted(names ^ set(CLASSES[benchmark]))}')
        if not report.add_faults(youtube_vis.find_faults(content, path)):
            continue
        if not content.get('annotations'):
            if split == 'train':
                report.add('annotation', f'{path}: has no annotations to train on')
            else:
                report.notes.append(f'{split}: no annotations (not public); results are scored by the server')
        annotations = youtube_vis.by_video(content.get('annotations') or ())
        folder = root / youtube_vis.find_path(root, split, youtube_vis.FRAME_FOLDERS)
        jobs = [(video, annotations.get(video['id'], [])) for video in content['videos']]
        is_sparse = any(video.get('labelled_frames') is not None for video in content['videos'])
        for video_report in run_jobs(partial(_check_video, folder, split, quick, is_sparse), jobs, workers):
            report.merge(video_report)
        if len(report.problems) == known:
            dataset = partial(
                YouTubeVISDataset, ann_file=str(path), data_prefix=dict(img_path=str(folder)), lazy_init=True,
                metainfo=dict(classes=[category['name'] for category in content['categories']]),
                sparse_labels=is_sparse, test_mode=not content.get('annotations'))
            report.attempt_to_load(dataset)
        if not own and split in NUM_VIDEOS[benchmark]:
            report.expect(split, 'videos', NUM_VIDEOS[benchmark][split])
    return report


def _check_video(folder: Path, split: str, quick: bool, is_sparse: bool, job: tuple[dict, list[dict]]) -> CheckReport:
    report = CheckReport()
    video, annotations = job
    for name in video['file_names']:
        size = report.image_size(folder / name, quick)
        if size is not None:
            report.sizes[size] += 1
            if size != (video['width'], video['height']):
                report.add('size', f'{folder / name}: {size[0]} x {size[1]}, its annotation '
                                   f'{video["width"]} x {video["height"]}')
    labelled = {t for annotation in annotations for t, mask in enumerate(annotation['segmentations']) if mask}
    if is_sparse:
        labelled = set(youtube_vis.labelled_frames(video))
        report.count_labels(split, youtube_vis.video_name(video), len(labelled), len(video['file_names']))
    report.count(split, videos=1, frames=len(video['file_names']), labelled=len(labelled), instances=len(annotations))
    for annotation in annotations:
        where = f'video {video["id"]} ("{", ".join(video["file_names"][:1])}" ...), annotation {annotation["id"]}'
        if not any(annotation['segmentations']):
            report.add('annotation', f'{where}: is not visible in any frame')
        for t, mask in enumerate(annotation['segmentations']):
            if mask:
                _check_mask(report, f'{where}, frame {t}', mask, video, quick)
    return report


def _check_mask(report: CheckReport, where: str, mask: dict | list, video: dict, quick: bool) -> None:
    size = [video['height'], video['width']]
    if isinstance(mask, dict) and mask.get('size') != size:
        report.add('size', f'{where}: mask of size {mask.get("size")}, frames of size {size} (height, width)')
        return
    try:
        rle = to_rle(mask, *size)
    except DataError as error:
        report.add('annotation', f'{where}: {error}')
        return
    if not quick and rle is not None and not mask_utils.area(rle):
        report.add('annotation', f'{where}: the mask is empty; it should be null')
