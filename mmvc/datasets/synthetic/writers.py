# Copyright (c) The mmvc contributors. All rights reserved.
"""Writers of generated videos in the layouts of VSPW, VIPSeg (converted) and YouTube-VIS.

A writer takes the frames of one video and gives back a record of it; the records of all videos become the index files.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvc.formats import vipseg, vspw, youtube_vis
from mmvc.formats.label_maps import VOID_ID, VOID_LABEL, encode_label_map, encode_panoptic_map, segment_id

from .classes import METAINFO
from .video import SyntheticFrame

# Visible shares of a thing's pixels in the frame from which its occlusion counts as none and as slight.
NO_OCCLUSION, SLIGHT_OCCLUSION = 0.95, 0.5


def encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    """Encode an image (BGR or single-channel) as PNG or JPEG."""
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise ValueError(f'OpenCV cannot encode a {image.dtype} array of shape {image.shape} as {suffix}')
    return data.tobytes()


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content) + '\n', encoding='utf-8')


class SyntheticWriter(ABC):
    """Base of the writers of one video in one format.

    Args:
        root (Path): Root of the dataset.
        meta (dict): :attr:`SyntheticVideo.meta`.
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        self.root = root
        self.meta = meta

    @abstractmethod
    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        """Write a frame.

        Args:
            name (str): File name without suffix.
            frame (SyntheticFrame): Labels.
            jpeg (bytes): The encoded image.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return the entries of the finished video for the index files."""

    @staticmethod
    @abstractmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        """Write the index files.

        Args:
            root (Path): Root of the dataset.
            records (dict[str, list[dict]]): Split -> records of its videos.
        """


class VSPWVideo(SyntheticWriter):
    """A video in the layout of VSPW, see :mod:`mmvc.formats.vspw`."""

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        self._frames = vspw.folder_of(root, vspw.FRAMES, meta['name'])
        self._masks = vspw.folder_of(root, vspw.MASKS, meta['name'])
        self._frames.mkdir(parents=True)
        self._masks.mkdir(parents=True)

    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        (self._frames / f'{name}{vspw.FRAME_SUFFIX}').write_bytes(jpeg)
        mask = frame.sem + np.uint8(vspw.LABEL_OFFSET)  # void becomes 0: 255 + 1 wraps around
        (self._masks / f'{name}{vspw.MASK_SUFFIX}').write_bytes(encode_label_map(mask))

    def record(self) -> dict[str, Any]:
        return dict(name=self.meta['name'])

    @staticmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        for split, videos in records.items():
            names = ''.join(f'{video["name"]}\n' for video in videos)
            (root / vspw.list_file(split)).write_text(names, encoding='utf-8')


class VIPSegVideo(SyntheticWriter):
    """A video in the layout of VIPSeg, see :mod:`mmvc.formats.vipseg`, with the raw masks.

    Raw masks are uint16: 0 = void, stuff class c as c + 1, instance i of thing class c as (c + 1) * 100 + i.
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        for folder in (vipseg.FRAMES, vipseg.RAW_MASKS, vipseg.MASKS):
            (root / folder / meta['name']).mkdir(parents=True)
        self._recorder = vipseg.VideoRecorder(meta['name'])
        self._instance_values = self._number_instances()
        self._ids = {value: segment_id(colour) for value, colour in self._colour_segments().items()}

    def _number_instances(self) -> np.ndarray:
        """Return the raw value of each identity, uint16 (largest identity + 1,)."""
        values = np.zeros(1 + len(self.meta['instances']), np.uint16)
        seen = dict.fromkeys(range(len(self.meta['classes'])), 0)
        for instance in self.meta['instances']:
            category = instance['category']
            values[instance['id']] = (category + 1) * 100 + seen[category]
            seen[category] += 1
        return values

    def _colour_segments(self) -> dict[int, tuple[int, int, int]]:
        """Return a colour of its own for each raw value: the palette's, shifted for further instances of a class."""
        stuff = [category + 1 for category, thing in enumerate(self.meta['isthing']) if not thing]
        colours: dict[int, tuple[int, int, int]] = {0: (0, 0, 0)}
        for value in stuff + self._instance_values[1:].tolist():
            category = value - 1 if value < 100 else value // 100 - 1
            colour = tuple(self.meta['palette'][category])
            while colour in colours.values():
                colour = tuple((channel + step) % 256 for channel, step in zip(colour, (37, 83, 59)))
            colours[value] = colour
        return colours

    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        raw = np.where(frame.ids > 0, self._instance_values[frame.ids], frame.sem.astype(np.uint16) + 1)
        raw[frame.sem == VOID_LABEL] = 0
        ids = np.full(raw.shape, VOID_ID, np.int32)
        segments = []
        for value, area in zip(*(values.tolist() for values in np.unique(raw, return_counts=True))):
            if value:
                ids[raw == value] = self._ids[value]
                category = value - 1 if value < 100 else value // 100 - 1
                segments.append(dict(id=self._ids[value], category_id=category, iscrowd=0, area=area))
        video = self.meta['name']
        vipseg.frame_file(self.root, video, name).write_bytes(jpeg)
        vipseg.mask_file(self.root, video, name, vipseg.RAW_MASKS).write_bytes(encode('.png', raw.astype(np.uint16)))
        vipseg.mask_file(self.root, video, name).write_bytes(encode_panoptic_map(ids))
        height, width = raw.shape
        self._recorder.add(name, (width, height), segments)

    def record(self) -> dict[str, Any]:
        return self._recorder.record()

    @staticmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        categories = [
            dict(id=i, name=name, isthing=METAINFO['isthing'][i], color=list(METAINFO['palette'][i]))
            for i, name in enumerate(METAINFO['classes'])
        ]
        everything = [video for videos in records.values() for video in videos]
        for split, videos in {'': everything, **records}.items():
            vipseg.write_annotations(root / vipseg.ann_file(split), videos, categories)


def category_ids() -> dict[int, int]:
    """Return the YouTube-VIS category id, from 1, of each thing class."""
    things = [category for category, thing in enumerate(METAINFO['isthing']) if thing]
    return {category: i for i, category in enumerate(things, 1)}


class YouTubeVISVideo(SyntheticWriter):
    """A video in the layout of YouTube-VIS, see :mod:`mmvc.formats.youtube_vis`: one annotation per thing.

    The levels of occlusion, as in OVIS, say how much of the part within the frame is hidden. The validation split is
    named ``valid``.
    """
    split_names = dict(val='valid')

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        folder = youtube_vis.FRAME_FOLDERS[0].format(split=self.split_names.get(meta['split'], meta['split']))
        self._frames = root / folder / meta['name']
        self._frames.mkdir(parents=True)
        self._names: list[str] = []
        self._tracks = {instance['id']: youtube_vis.TrackRecorder(category_ids()[instance['category']])
                        for instance in meta['instances']}

    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        (self._frames / f'{name}.jpg').write_bytes(jpeg)
        self._names.append(f'{self.meta["name"]}/{name}.jpg')
        for identity, track in self._tracks.items():
            mask = frame.ids == identity
            area = int(mask.sum())
            share = area / frame.full_areas[identity] if area else 0
            track.add(mask, 'no_occlusion' if share >= NO_OCCLUSION else
                      'slight_occlusion' if share >= SLIGHT_OCCLUSION else 'severe_occlusion')

    def record(self) -> dict[str, Any]:
        height, width = self.meta['size']
        video = dict(height=height, width=width, length=len(self._names), file_names=self._names)
        tracks = [track.record(video) for track in self._tracks.values()]
        return dict(video=video, tracks=[track for track in tracks if track is not None])

    @classmethod
    def write_index(cls, root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        categories = [
            dict(id=i, name=METAINFO['classes'][category], supercategory='object')
            for category, i in category_ids().items()
        ]
        for split, items in records.items():
            path = root / youtube_vis.ANN_FILES[0].format(split=cls.split_names.get(split, split))
            youtube_vis.write_annotations(path, [(item['video'], item['tracks']) for item in items], categories)


class ObjectWriter:
    """The objects, which no format describes: ``objects/<video>/*.png`` and ``objects/<video>.json``.

    The pictures hold the identity of the visible thing, 8 bits, 0 = none. The file lists the things: ``id``,
    ``category``, ``cue`` (the only cue to its class, empty for its appearance) and ``visible``, the visible share of
    its pixels in each frame (None while it is out of the frame).
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        self._folder = root / 'objects' / meta['name']
        self._folder.mkdir(parents=True)
        self._objects = [dict(instance, visible=[]) for instance in meta['instances']]

    def add(self, name: str, frame: SyntheticFrame) -> None:
        """Write the picture of a frame and note what is hidden."""
        (self._folder / f'{name}.png').write_bytes(encode_label_map(frame.ids))
        for thing in self._objects:
            full = frame.full_areas.get(thing['id'])
            visible = int((frame.ids == thing['id']).sum())
            thing['visible'].append(round(visible / full, 4) if full else None)

    def finish(self) -> None:
        """Write the file of the video."""
        write_json(self._folder.with_suffix('.json'), self._objects)


WRITERS: dict[str, type[SyntheticWriter]] = dict(vspw=VSPWVideo, vipseg=VIPSegVideo, ytvis=YouTubeVISVideo)
