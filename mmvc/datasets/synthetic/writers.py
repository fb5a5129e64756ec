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
from pycocotools import mask as rle

from mmvc.formats.label_maps import VOID_LABEL

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


class FormatWriter(ABC):
    """Base of the writers of one video in one format.

    Args:
        root (Path): Root of the dataset.
        meta (dict): :attr:`SyntheticVideo.meta`.
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        self.root = root
        self.meta = meta

    def make_folder(self, *parts: str) -> Path:
        folder = self.root.joinpath(*parts)
        folder.mkdir(parents=True)
        return folder

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
        """Return what the index files need to know of the finished video."""

    @staticmethod
    @abstractmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        """Write the index files.

        Args:
            root (Path): Root of the dataset.
            records (dict[str, list[dict]]): Split -> records of its videos.
        """


class VSPWWriter(FormatWriter):
    """``data/<video>/{origin/*.jpg,mask/*.png}`` with mask values 0 = void, class + 1, and ``<split>.txt``."""

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        self._images = self.make_folder('data', meta['name'], 'origin')
        self._masks = self.make_folder('data', meta['name'], 'mask')

    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        (self._images / f'{name}.jpg').write_bytes(jpeg)
        (self._masks / f'{name}.png').write_bytes(encode('.png', frame.sem + np.uint8(1)))  # 255 + 1 wraps to 0

    def record(self) -> dict[str, Any]:
        return dict(name=self.meta['name'])

    @staticmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        for split, videos in records.items():
            (root / f'{split}.txt').write_text(''.join(f'{video["name"]}\n' for video in videos), encoding='utf-8')


class VIPSegWriter(FormatWriter):
    """``{images,panomasks,panomasksRGB}/<video>/`` and ``panoptic_gt_VIPSeg{,_<split>}.json``.

    ``panomasks`` are uint16: 0 = void, stuff class c as c + 1, instance i of thing class c as (c + 1) * 100 + i.
    ``panomasksRGB`` hold R + 256 G + 65536 B = segment id, the same for a segment in all frames of the video.
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        self._images = self.make_folder('images', meta['name'])
        self._raw = self.make_folder('panomasks', meta['name'])
        self._rgb = self.make_folder('panomasksRGB', meta['name'])
        self._frames: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._instance_values = self._number_instances()
        self._colours = self._colour_segments()

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
        rgb = np.zeros((*raw.shape, 3), np.uint8)
        segments = []
        for value, area in zip(*np.unique(raw, return_counts=True)):
            red, green, blue = self._colours[int(value)]
            rgb[raw == value] = red, green, blue
            if value:
                category = int(value) - 1 if value < 100 else int(value) // 100 - 1
                segments.append(dict(id=red + 256 * green + 65536 * blue, category_id=category, iscrowd=0,
                                     area=int(area)))
        (self._images / f'{name}.jpg').write_bytes(jpeg)
        (self._raw / f'{name}.png').write_bytes(encode('.png', raw.astype(np.uint16)))
        (self._rgb / f'{name}.png').write_bytes(encode('.png', rgb[..., ::-1]))
        height, width = raw.shape
        self._frames.append(dict(id=name, width=width, height=height, file_name=f'{name}.png'))
        self._annotations.append(dict(image_id=name, file_name=f'{name}.png', segments_info=segments))

    def record(self) -> dict[str, Any]:
        video_id = self.meta['name']
        return dict(video=dict(video_id=video_id, images=self._frames),
                    annotation=dict(video_id=video_id, annotations=self._annotations))

    @staticmethod
    def write_index(root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        categories = [
            dict(id=i, name=name, isthing=METAINFO['isthing'][i], color=list(METAINFO['palette'][i]))
            for i, name in enumerate(METAINFO['classes'])
        ]
        everything = [video for videos in records.values() for video in videos]
        for suffix, videos in [('', everything), *((f'_{split}', videos) for split, videos in records.items())]:
            write_json(root / f'panoptic_gt_VIPSeg{suffix}.json', dict(
                videos=[video['video'] for video in videos],
                annotations=[video['annotation'] for video in videos],
                categories=categories))


def category_ids() -> dict[int, int]:
    """Return the YouTube-VIS category id, from 1, of each thing class."""
    things = [category for category, thing in enumerate(METAINFO['isthing']) if thing]
    return {category: i for i, category in enumerate(things, 1)}


class YouTubeVISWriter(FormatWriter):
    """``<split>/JPEGImages/<video>/*.jpg`` and ``<split>/instances.json``: one annotation per thing.

    Masks are compressed RLE and, with boxes and areas, null in frames where the thing is out of sight. ``occlusion``
    tells per frame, as in OVIS, how much of what lies in the frame is hidden. The validation split is named ``valid``.
    """
    folders = dict(val='valid')

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        super().__init__(root, meta)
        self._images = self.make_folder(self.folders.get(meta['split'], meta['split']), 'JPEGImages', meta['name'])
        self._names: list[str] = []
        self._tracks: dict[int, dict[str, Any]] = {
            instance['id']: dict(category_id=category_ids()[instance['category']], segmentations=[], bboxes=[],
                                 areas=[], occlusion=[])
            for instance in meta['instances']
        }

    def add(self, name: str, frame: SyntheticFrame, jpeg: bytes) -> None:
        (self._images / f'{name}.jpg').write_bytes(jpeg)
        self._names.append(f'{self.meta["name"]}/{name}.jpg')
        for identity, track in self._tracks.items():
            mask = frame.ids == identity
            area = int(mask.sum())
            if not area:
                for key in ('segmentations', 'bboxes', 'areas', 'occlusion'):
                    track[key].append(None)
                continue
            encoded = rle.encode(np.asfortranarray(mask, np.uint8))
            share = area / frame.full_areas[identity]
            track['segmentations'].append(dict(size=list(mask.shape), counts=encoded['counts'].decode('ascii')))
            track['bboxes'].append(rle.toBbox(encoded).tolist())
            track['areas'].append(area)
            track['occlusion'].append('no_occlusion' if share >= NO_OCCLUSION else
                                      'slight_occlusion' if share >= SLIGHT_OCCLUSION else 'severe_occlusion')

    def record(self) -> dict[str, Any]:
        height, width = self.meta['size']
        size = dict(height=height, width=width, length=len(self._names))
        # a thing that is never seen is no object of the dataset
        tracks = [dict(iscrowd=0, **size, **track) for track in self._tracks.values() if any(track['areas'])]
        return dict(video=dict(**size, file_names=self._names), tracks=tracks)

    @classmethod
    def write_index(cls, root: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        categories = [
            dict(id=i, name=METAINFO['classes'][category], supercategory='object')
            for category, i in category_ids().items()
        ]
        for split, items in records.items():
            videos: list[dict] = []
            annotations: list[dict] = []
            for video_id, item in enumerate(items, 1):
                videos.append(dict(id=video_id, **item['video']))
                for track in item['tracks']:
                    annotations.append(dict(id=len(annotations) + 1, video_id=video_id, **track))
            write_json(root / cls.folders.get(split, split) / 'instances.json',
                       dict(videos=videos, annotations=annotations, categories=categories))


class ObjectWriter:
    """What no format has room for, beside any of them: ``objects/<video>/*.png`` and ``objects/<video>.json``.

    The pictures hold the identity of the visible thing, 8 bits, 0 = none. The file lists the things: ``id``,
    ``category``, ``cue`` (what alone tells its class, empty for its looks) and ``visible``, the share of its pixels in
    the frame that nothing hides, per frame (None while it is out of the frame).
    """

    def __init__(self, root: Path, meta: dict[str, Any]) -> None:
        self._folder = root / 'objects' / meta['name']
        self._folder.mkdir(parents=True)
        self._objects = [dict(instance, visible=[]) for instance in meta['instances']]

    def add(self, name: str, frame: SyntheticFrame) -> None:
        """Write the picture of a frame and note what is hidden."""
        (self._folder / f'{name}.png').write_bytes(encode('.png', frame.ids.astype(np.uint8)))
        for thing in self._objects:
            full = frame.full_areas.get(thing['id'])
            visible = int((frame.ids == thing['id']).sum())
            thing['visible'].append(round(visible / full, 4) if full else None)

    def finish(self) -> None:
        """Write the file of the video."""
        write_json(self._folder.with_suffix('.json'), self._objects)


WRITERS: dict[str, type[FormatWriter]] = dict(vspw=VSPWWriter, vipseg=VIPSegWriter, ytvis=YouTubeVISWriter)
