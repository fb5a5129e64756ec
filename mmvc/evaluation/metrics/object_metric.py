# Copyright (c) The mmvc contributors. All rights reserved.
import math
import os.path as osp
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mmvc.evaluation.functional import (
    ConfusionMatrix,
    SparseCounts,
    count_fragments,
    count_switches,
    main_labels,
    occlusion_regions,
    pixels_of,
    semantic_scores,
)
from mmvc.evaluation.tables import log_rows
from mmvc.formats.json_files import find_repeats, raise_first, read_json
from mmvc.formats.label_maps import VOID_ID, VOID_LABEL, read_label_map
from mmvc.registry import METRICS
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.names import check_name

from .frames import frame_name, panoptic_map, require_files, semantic_map
from .video_metric import VideoEntry, VideoMetric

_OBJECTS = [{'id': int, 'category': int, 'cue?': str, 'visible': [(type(None), float)]}]


@dataclass
class _Video:
    """State of a video whose frames are being added.

    Attributes:
        video_id (str): Its name.
        objects (list[dict]): Its objects, as the file lists them.
        labels (dict[int, list]): Main label of each object in the frames so far.
        confusions (dict[str, ConfusionMatrix]): Counts by name of the number.
        kind (str): Meaning of the labels: ``'class'`` or ``'identity'``.
        num_frames (int): Number of frames so far.
        segments (int): Predicted segments on the objects.
        parts (int): Visible parts of the objects.
    """
    video_id: str
    objects: list[dict]
    labels: dict[int, list]
    confusions: dict[str, ConfusionMatrix] = field(default_factory=dict)
    kind: str = 'class'
    num_frames: int = 0
    segments: int = 0
    parts: int = 0


class ObjectCounts(NamedTuple):
    """Counts of one video.

    Attributes:
        confusions (dict[str, SparseCounts]): Confusion matrices by name of the number.
        fragments (tuple[int, int]): Predicted segments and visible parts.
        switches (tuple[int, int]): Changes of a label, and frames in which it could have changed.
        kind (str): Meaning of the labels: ``'class'`` or ``'identity'``.
    """
    confusions: dict[str, SparseCounts]
    fragments: tuple[int, int]
    switches: tuple[int, int]
    kind: str


@METRICS.register_module()
class ObjectMetric(VideoMetric):
    """Scores of objects that are occluded, ambiguous or moving, which a mean over all pixels does not show.

    The metric reads the objects of every frame: ``<object_dir>/<video>/<frame>.png``, identity of the visible object
    (8 bits, 0 = none), and ``<object_dir>/<video>.json``, a list of ``dict(id, category, cue, visible)`` with the
    visible share of the object in each frame (None: not in the frame) and, optionally, the only cue to its class.
    ``tools/dataset_converters/make_synthetic.py --with-objects`` writes them.

    Numbers from ``pred_sem_seg`` (VSS), in percent except ``fragments``:

    - ``mIoU_occluded``, ``mIoU_severe``, ``mIoU_clear``: over the pixels of objects of which less than 95 %, less than
      50 % and at least 95 % is visible;
    - ``mAcc_<cue>``: mean over the classes of the share of right pixels, on the objects of a cue;
    - ``fragments``: predicted segments per visible part of an object, 1 is perfect;
    - ``class_switches``: share of the frames in which an object's main class differs from the one before.

    Numbers from ``pred_panoptic_seg`` (VPS): ``fragments`` and ``identity_switches``, of the segment ids.

    Args:
        object_dir (str): Folder of the objects.
        num_classes (int, optional): Number of classes. Defaults to None: that of the dataset.
        backend_args (dict, optional): Where the objects lie. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``objects``.

    Raises:
        FileNotFoundError: If a video has no objects.
        DataError: If their file is damaged or contradicts itself.
    """

    default_prefix = 'objects'
    WRITES_PREDICTIONS = False

    def __init__(self,
                 object_dir: str,
                 num_classes: int | None = None,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(backend_args=backend_args, prefix=prefix)
        self.object_dir = object_dir
        self.num_classes = num_classes

    def check_video(self, video: dict) -> None:
        """Raise an error if the objects of a video are missing, or are not those of its frames."""
        video_id, frames = str(video['video_id']), video.get('images', [video])
        path, num_frames = self._list(video_id), video.get('video_length', len(frames))
        for thing in self._read(video_id):
            if len(thing['visible']) != num_frames:
                raise DataError(f'"{path}": object {thing["id"]} has visible shares for {len(thing["visible"])} '
                                f'frames, its video has {num_frames}: write the dataset again')
        require_files([self._map(video_id, frame) for frame in frames], f'maps of objects of video "{video_id}"')

    def _list(self, video_id: str) -> str:
        check_name(video_id, 'ObjectMetric, video_id')
        return osp.join(self.object_dir, f'{video_id}.json')

    def _map(self, video_id: str, frame: dict) -> str:
        return osp.join(self.object_dir, video_id, f'{frame_name(frame)}.png')

    def _read(self, video_id: str) -> list[dict]:
        path = self._list(video_id)
        try:
            objects = read_json(path, _OBJECTS, 'what make_synthetic.py --with-objects writes', self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'ObjectMetric: the objects of video "{video_id}" are not in "{path}": write the '
                                    'dataset with make_synthetic.py --with-objects, or set object_dir') from error
        raise_first(find_repeats((thing['id'] for thing in objects), 'object', 'id', path))
        for thing in objects:
            if not (0 < thing['id'] <= 255 and 0 <= thing['category'] < VOID_LABEL):
                raise DataError(f'"{path}": object {thing["id"]} of category {thing["category"]} does not fit 8-bit '
                                'maps: ids are 1 to 255, categories 0 to 254')
        return objects

    def start_video(self, video_id: str) -> _Video:
        """Read the objects of a video."""
        objects = self._read(video_id)
        return _Video(video_id, objects, labels={thing['id']: [] for thing in objects})

    def add_frame(self, state: _Video, frame: dict) -> None:
        """Count the prediction of a frame, object by object."""
        path = self._map(state.video_id, frame)
        ids = read_label_map(path, self.backend_args)
        pred, void = self._prediction(state, frame)
        if pred.shape != ids.shape:
            raise DataError(f'ObjectMetric: prediction of size {pred.shape} for objects of size {ids.shape} in '
                            f'"{path}"')
        if 'pred_sem_seg' in frame:
            self._compare_classes(state, ids, pred)
        for segments, parts in count_fragments(ids, pred).values():
            state.segments += segments
            state.parts += parts
        for identity, label in main_labels(ids, pred, void).items():
            state.labels[identity].append(label)
        state.num_frames += 1

    @staticmethod
    def _prediction(state: _Video, frame: dict) -> tuple[np.ndarray, int]:
        """Return labels (H, W) and the label of pixels without a prediction."""
        if 'pred_sem_seg' in frame:
            return semantic_map(frame), ConfusionMatrix.NO_PREDICTION
        if 'pred_panoptic_seg' in frame:
            state.kind = 'identity'
            return panoptic_map(frame), VOID_ID
        raise UsageError(f'a prediction for video "{state.video_id}" has neither pred_sem_seg nor '
                         'pred_panoptic_seg: ObjectMetric is for VSS and VPS')

    def _compare_classes(self, state: _Video, ids: np.ndarray, pred: np.ndarray) -> None:
        """Count right and wrong classes on the objects, by occlusion and by cue."""
        category = np.full(256, ConfusionMatrix.NO_PREDICTION, np.uint8)
        visible: dict[int, float] = {}
        cues: dict[str, list[int]] = defaultdict(list)
        for thing in state.objects:
            category[thing['id']] = thing['category']
            share = thing['visible'][state.num_frames]
            visible.update({thing['id']: share} if share is not None else {})
            cues[thing.get('cue', '')].append(thing['id'])
        truth = category[ids]
        regions = {f'mIoU_{name}': region for name, region in occlusion_regions(ids, visible).items()}
        regions.update({f'mAcc_{cue}': pixels_of(ids, chosen) for cue, chosen in cues.items() if cue})
        for name, region in regions.items():
            if name not in state.confusions:
                state.confusions[name] = ConfusionMatrix(self._num_classes(), label_offset=0)
            state.confusions[name].update(np.where(region, truth, ConfusionMatrix.NO_PREDICTION).astype(np.uint8),
                                             pred)

    def finish_video(self, state: _Video) -> ObjectCounts:
        """Return the counts of a video."""
        switches = np.sum([count_switches(labels) for labels in state.labels.values()] or [(0, 0)], axis=0)
        return ObjectCounts(
            confusions={name: SparseCounts.of(matrix.counts) for name, matrix in state.confusions.items()},
            fragments=(state.segments, state.parts),
            switches=tuple(switches.tolist()),
            kind=state.kind)

    def compute_metrics(self, results: list[VideoEntry]) -> dict[str, float]:
        """Compute, log and return the numbers; one that is not defined for the data is left out.

        Args:
            results (list[VideoEntry]): One entry per video.

        Returns:
            dict[str, float]: Numbers by name.
        """
        videos: list[ObjectCounts] = [entry.counts for entry in results]
        totals: dict[str, np.ndarray] = {}
        for video in videos:
            for name, confusion in video.confusions.items():
                totals[name] = totals.get(name, 0) + confusion.dense()
        numbers = {name: 100 * semantic_scores(counts)[name.split('_')[0]] for name, counts in sorted(totals.items())}
        segments, parts = np.sum([video.fragments for video in videos] or [(0, 0)], axis=0)
        switches, pairs = np.sum([video.switches for video in videos] or [(0, 0)], axis=0)
        numbers['fragments'] = float(segments / parts) if parts else math.nan
        kind = videos[0].kind if videos else 'class'
        numbers[f'{kind}_switches'] = float(100 * switches / pairs) if pairs else math.nan
        numbers = {name: value for name, value in numbers.items() if not math.isnan(value)}
        log_rows('ObjectMetric: summary', [{'': name, 'value': f'{value:.2f}'} for name, value in numbers.items()])
        return numbers

    def _num_classes(self) -> int:
        if self.num_classes is None:
            self.num_classes = len(self.dataset_meta['classes'])
        return self.num_classes
