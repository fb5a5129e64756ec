# Copyright (c) The mmvc contributors. All rights reserved.
"""Writers of the labels of imported videos, one for each layout."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmvc.formats import vipseg, vspw, youtube_vis
from mmvc.formats.label_maps import VOID_ID, VOID_LABEL, encode_label_map, encode_panoptic_map
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError
from mmvc.utils.names import output_path

from .classes import ClassMap
from .source import Region, SourceVideo

#: folders of frames and masks of the semantic layout
FRAMES, MASKS = 'frames/{video}', 'labels/{video}'


class VideoLabels(ABC):
    """Writes the labels of one video, frame by frame.

    Args:
        video (SourceVideo): The video.
        classes (ClassMap): The classes.
        folder (Path, optional): Folder of its masks. None: the layout has none.

    Attributes:
        pixels (Counter): Number of labelled pixels by class index.
        frames (Counter): Number of frames that show it by class index.
    """

    def __init__(self, video: SourceVideo, classes: ClassMap, folder: Path | None) -> None:
        self.video, self.classes, self.folder = video, classes, folder
        self.pixels: Counter[int] = Counter()
        self.frames: Counter[int] = Counter()
        self._class_of: dict[int | str, int] = {}

    def add(self, name: str, regions: Sequence[Region] | None) -> None:
        """Write the labels of the next frame.

        Args:
            name (str): Name of the frame, without suffix.
            regions (Sequence[Region], optional): Its regions. None: the frame has no labels.

        Raises:
            DataError: A mask has another size than the frames, or an object has two classes.
        """
        for region in regions or ():
            if region.mask.shape != self.video.size:
                raise DataError(f'video "{self.video.name}", frame "{name}": a mask has the size {region.mask.shape}, '
                                f'the frames have {self.video.size} (height, width): export the labels again')
        areas = self._write(name, regions)
        self.pixels.update(areas)
        self.frames.update(index for index, area in areas.items() if area)

    @abstractmethod
    def _write(self, name: str, regions: Sequence[Region] | None) -> Mapping[int, int]:
        """Write a frame; return the pixels of each class."""

    @abstractmethod
    def record(self) -> Any:
        """What the index files say about the video, as plain data."""

    @property
    def objects(self) -> dict[int, int]:
        """Number of objects by class index; empty if the layout has none."""
        return Counter(self._class_of.values())

    def _labels(self, regions: Sequence[Region]) -> np.ndarray:
        """Class of each pixel, 255 = void."""
        labels = np.full(self.video.size, VOID_LABEL if self.classes.background is None else self.classes.background,
                         np.uint8)
        for region in regions:
            labels[region.mask] = self.classes.index_of.get(region.category, VOID_LABEL)
        return labels

    def _require_one_class(self, track: int | str, index: int, frame: str) -> None:
        before = self._class_of.setdefault(track, index)
        if before != index:
            raise DataError(f'video "{self.video.name}", frame "{frame}": track {track!r} is '
                            f'"{self.classes.names[index]}", and "{self.classes.names[before]}" in a frame before: '
                            'correct it in the tool, or merge the two classes (--classes)')


class SemanticLabels(VideoLabels):
    """A class index per pixel."""

    def _write(self, name: str, regions: Sequence[Region] | None) -> Mapping[int, int]:
        if regions is None:
            return {}
        labels = self._labels(regions)
        assert self.folder is not None
        output_path(self.folder, name, suffix=vspw.MASK_SUFFIX).write_bytes(encode_label_map(labels))
        return _areas(labels, VOID_LABEL)

    def record(self) -> None:
        """Nothing: the list of the videos is enough."""


class InstanceTracks(VideoLabels):
    """Tracks of masks. Masks stay as they were drawn, so those of two objects may overlap."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._tracks: dict[int | str, youtube_vis.TrackRecorder] = {}
        self._names: list[str] = []
        self._labelled: list[int] = []

    def _write(self, name: str, regions: Sequence[Region] | None) -> Mapping[int, int]:
        if regions is not None:
            self._labelled.append(len(self._names))
        masks: dict[int | str, np.ndarray] = {}
        for region in regions or ():
            index = self.classes.index_of.get(region.category)
            if index is None or not region.mask.any():
                continue
            track = _track_of(region, index, self.video, name, self.classes)
            self._require_one_class(track, index, name)
            masks[track] = masks[track] | region.mask if track in masks else region.mask
            if track not in self._tracks:
                self._tracks[track] = youtube_vis.TrackRecorder(index + 1, is_crowd=region.track is None)
                for _ in self._names:
                    self._tracks[track].add(None)
        for track, recorder in self._tracks.items():
            recorder.add(masks.get(track))
        self._names.append(name)
        areas: Counter[int] = Counter()
        for track, mask in masks.items():
            areas[self._class_of[track]] += int(mask.sum())
        return areas

    def record(self) -> dict:
        """``video`` and ``tracks``, see :func:`mmvc.formats.youtube_vis.write_annotations`."""
        height, width = self.video.size
        video: dict[str, Any] = dict(height=height, width=width, length=len(self._names), names=self._names)
        if len(self._labelled) < len(self._names):
            video['labelled_frames'] = self._labelled
        tracks = [recorder.record(video) for recorder in self._tracks.values()]
        return dict(video=video, tracks=[track for track in tracks if track is not None])


class PanopticSegments(VideoLabels):
    """Segments of things and stuff; a segment keeps its id through the video."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._recorder = vipseg.VideoRecorder(self.video.name)
        self._numbers: dict[int | str, int] = {}

    def _write(self, name: str, regions: Sequence[Region] | None) -> Mapping[int, int]:
        height, width = self.video.size
        if regions is None:
            self._recorder.add(name, (width, height))
            return {}
        crowds: set[int] = set()
        ids = self._paint(regions, name, crowds)
        segments, areas = [], Counter[int]()
        for segment_id, area in _areas(ids, VOID_ID).items():
            index = self._class_index(segment_id)
            segments.append(dict(id=segment_id, category_id=index, iscrowd=int(segment_id in crowds), area=area))
            areas[index] += area
        assert self.folder is not None
        output_path(self.folder, name, suffix='.png').write_bytes(encode_panoptic_map(ids))
        self._recorder.add(name, (width, height), segments)
        return areas

    def _paint(self, regions: Sequence[Region], frame: str, crowds: set[int]) -> np.ndarray:
        background = self.classes.background
        ids = np.full(self.video.size, VOID_ID if background is None else self._id(background, 0), np.int32)
        for region in regions:
            index = self.classes.index_of.get(region.category)
            if index is None:
                ids[region.mask] = VOID_ID
                continue
            number = 0
            if self.classes.is_thing[index]:
                track = _track_of(region, index, self.video, frame, self.classes)
                if region.track is None:
                    crowds.add(self._id(index, 0))
                else:
                    self._require_one_class(track, index, frame)
                    number = self._numbers.setdefault(track, len(self._numbers) + 1)
            ids[region.mask] = self._id(index, number)
        return ids

    def _id(self, index: int, number: int) -> int:
        """Segment id of an object; number 0 is for stuff and crowds."""
        value = index + 1 + number * (len(self.classes.names) + 1)
        if value >= 1 << 24:
            raise DataError(f'video "{self.video.name}" has more objects than a panoptic map can hold: cut it into '
                            'shorter ones')
        return value

    def _class_index(self, segment_id: int) -> int:
        return segment_id % (len(self.classes.names) + 1) - 1

    def record(self) -> dict:
        """See :meth:`mmvc.formats.vipseg.VideoRecorder.record`."""
        return self._recorder.record()


def _areas(values: np.ndarray, void: int) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return {value: count for value, count in zip(found.tolist(), counts.tolist()) if value != void}


def _track_of(region: Region, index: int, video: SourceVideo, frame: str, classes: ClassMap) -> int | str:
    """Track of an object; a crowd without one is a track of its class."""
    if region.track is not None:
        return region.track
    if region.is_crowd:
        return f'\0crowd {index}'
    raise DataError(f'video "{video.name}", frame "{frame}": an object of the class "{classes.names[index]}" has no '
                    'track id: give it one in the tool, leave its category out (--void), or use the layout semantic '
                    '(--layout)')


class Layout(ABC):
    """Folders and index files of a layout.

    Args:
        root (Path): Root of the dataset.
        classes (ClassMap): The classes.
        split_of (Mapping[str, str]): Split, ``'train'`` or ``'val'``, of each video.
    """

    labels: type[VideoLabels]

    def __init__(self, root: Path, classes: ClassMap, split_of: Mapping[str, str]) -> None:
        self.root, self.classes, self.split_of = root, classes, split_of

    @abstractmethod
    def frame_folder(self, video: str) -> Path:
        """Folder of the frames of a video."""

    def mask_folder(self, video: str) -> Path | None:
        """Folder of the masks of a video; None if the layout has none."""
        return None

    @abstractmethod
    def write_index(self, split: str, records: Mapping[str, Any], suffix: str) -> None:
        """Write the list or annotation file of a split.

        Args:
            split (str): ``'train'`` or ``'val'``.
            records (Mapping[str, Any]): :meth:`VideoLabels.record` by video.
            suffix (str): Suffix of the frames.
        """


class SemanticLayout(Layout):
    """``frames/<video>/``, ``labels/<video>/``, ``train.txt`` and ``val.txt``."""

    labels = SemanticLabels

    def frame_folder(self, video: str) -> Path:
        return vspw.folder_of(self.root, FRAMES, video)

    def mask_folder(self, video: str) -> Path | None:
        return vspw.folder_of(self.root, MASKS, video)

    def write_index(self, split: str, records: Mapping[str, Any], suffix: str) -> None:
        content = ''.join(f'{video}\n' for video in records)
        atomic_write(self.root / vspw.list_file(split), content.encode())


class InstanceLayout(Layout):
    """``train/JPEGImages/<video>/``, ``train.json``, and the same for ``valid``."""

    labels = InstanceTracks

    def _split_name(self, split: str) -> str:
        return dict(val='valid').get(split, split)

    def frame_folder(self, video: str) -> Path:
        folder = youtube_vis.FRAME_FOLDERS[0].format(split=self._split_name(self.split_of[video]))
        return self.root / folder / video

    def write_index(self, split: str, records: Mapping[str, Any], suffix: str) -> None:
        videos = []
        for name, record in records.items():
            video = {key: value for key, value in record['video'].items() if key != 'names'}
            video['file_names'] = [f'{name}/{frame}{suffix}' for frame in record['video']['names']]
            videos.append((video, record['tracks']))
        categories = [dict(id=number, name=name) for number, name in enumerate(self.classes.names, 1)]
        path = self.root / youtube_vis.ANN_FILES[1].format(split=self._split_name(split))
        youtube_vis.write_annotations(path, videos, categories)


class PanopticLayout(Layout):
    """``images/<video>/``, ``panomasksRGB/<video>/`` and ``panoptic_gt_VIPSeg_<split>.json``."""

    labels = PanopticSegments

    def frame_folder(self, video: str) -> Path:
        return self.root / vipseg.FRAMES / video

    def mask_folder(self, video: str) -> Path | None:
        return self.root / vipseg.MASKS / video

    def write_index(self, split: str, records: Mapping[str, Any], suffix: str) -> None:
        categories = [
            dict(id=index, name=name, isthing=int(is_thing), color=list(color)) for index, (name, is_thing, color) in
            enumerate(zip(self.classes.names, self.classes.is_thing, self.classes.palette))
        ]
        vipseg.write_annotations(self.root / vipseg.ann_file(split), records.values(), categories)


LAYOUTS: dict[str, type[Layout]] = dict(semantic=SemanticLayout, instances=InstanceLayout, panoptic=PanopticLayout)
