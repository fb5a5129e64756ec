# Copyright (c) The mmvc contributors. All rights reserved.
"""COCO-panoptic: PNGs of segment ids, and one JSON with the category of each segment.

The format is described at https://cocodataset.org/#format-data: the id of a pixel is R + 256 G + 65536 B, 0 is void.
Images in one folder are the frames of one video.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmvc.formats.json_files import FLAG, ID, Fault, find_bad_names, find_repeats, raise_first, read_json
from mmvc.formats.label_maps import VOID_ID, read_panoptic_map
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.natural_order import natural_key

from .detect import contains
from .frame_files import FileFinder, use_slashes, video_name, video_of_images
from .json_exports import find_json, only_json_in
from .reader import FileReader, ReaderOption
from .source import Category, Region, SourceVideo

_SEGMENTS = [{'id': int, 'category_id': int, 'iscrowd?': FLAG}]
_SCHEMA = {
    'images': [{'id': ID, 'file_name': str, 'height?': int, 'width?': int}],
    'annotations': [{'image_id': ID, 'file_name': str, 'segments_info': _SEGMENTS}],
    'categories': [{'id': int, 'name': str, 'isthing?': FLAG, 'color?': [int]}],
}
_EXPECTED = 'annotations of COCO panoptic, such as panoptic_train2017.json'


class CocoPanoptic(FileReader):
    """Reader of COCO-panoptic annotations.

    Args:
        path (Path): JSON with ``images``, ``annotations`` and ``categories``, or the folder of the export, see
            :func:`find_json`.
        images (Path, optional): Folder that the images lie in, at any depth. Defaults to None: the folder of the
            export, or that of the JSON.
        masks (Path, optional): Folder of the PNGs. Defaults to None: a folder next to the JSON with its name, or with
            ``masks`` in place of ``panoptic``.
        ids_are_tracks (bool): Whether a segment id stands for the same object in all frames of a video. COCO numbers
            the segments of each image anew. Defaults to False.
        single_images (bool): Whether each image is a video of one frame, as for the images of COCO. Then a segment id
            is a track id. Defaults to False.

    Raises:
        FileNotFoundError: There is no such JSON.
        UsageError: The PNGs cannot be found.
        DataError: The JSON is damaged or contradicts itself.
    """

    NAME = 'coco-panoptic'
    HELP = 'COCO panoptic: a JSON with segments_info, and PNGs of segment ids'
    OPTIONS = (
        ReaderOption('masks', 'folder of the PNGs (default: named as the JSON)', Path),
        ReaderOption('ids_are_tracks', 'a segment id is the same object in all frames of a video'),
        ReaderOption('single_images', 'each image is a video of one frame, as for the images of COCO'),
    )

    def __init__(self, path: Path, images: Path | None = None, masks: Path | None = None,
                 ids_are_tracks: bool = False, single_images: bool = False) -> None:
        self.path, self.single_images = find_json(path), single_images
        self.has_tracks = ids_are_tracks or single_images
        content = read_json(self.path, _SCHEMA, _EXPECTED)
        use_slashes(content['images'])
        raise_first(_find_faults(content, self.path))
        self._finder = FileFinder(images or (path if path.is_dir() else path.parent))
        self._masks = masks or _find_masks(self.path)
        self.inputs = [self._masks]
        self.categories = [Category(entry['name'], _color(entry.get('color')), _flag(entry.get('isthing')))
                           for entry in content['categories']]
        self._index = {entry['id']: index for index, entry in enumerate(content['categories'])}
        self._images = content['images']
        self._annotations = {entry['image_id']: entry for entry in content['annotations']}

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether a file is a JSON with ``segments_info``, but not one of VIPSeg."""
        file = only_json_in(path) if path.is_dir() else path
        return file is not None and file.suffix.lower() == '.json' and contains(file, '"segments_info"') \
            and not contains(file, '"videos"')

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        groups: dict[str, dict[str, tuple[Path, dict]]] = defaultdict(dict)
        for entry in self._images:
            where = f'"{self.path}", image {entry["id"]!r}'
            image = self._finder.find(entry['file_name'], where)
            place = image.with_suffix('') if self.single_images else image.parent
            folder = place.relative_to(self._finder.root).as_posix()
            if image.stem in groups[folder]:
                raise DataError(f'{where}: the folder "{folder}" has two images "{image.stem}": rename one')
            groups[folder][image.stem] = image, entry
        videos = []
        for folder in sorted(groups, key=natural_key):
            frames = {name: groups[folder][name] for name in sorted(groups[folder], key=natural_key)}
            self._require_one_size([entry for _, entry in frames.values()])
            labels = {name: self._annotations[entry['id']] for name, (_, entry) in frames.items()
                      if entry['id'] in self._annotations}
            images = {name: image for name, (image, _) in frames.items()}
            video = video_of_images(video_name(folder, self._finder.root), images, labels, labels)
            self._require_sizes(video, [entry for _, entry in frames.values()])
            videos.append(video)
        return videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        labels = video.key
        assert isinstance(labels, dict)
        for frame in video.frames:
            if frame.labelled:
                yield self._read(labels[frame.name], video.size)

    def _read(self, annotation: dict, size: tuple[int, int]) -> list[Region]:
        path = self._masks / annotation['file_name']
        ids = read_panoptic_map(str(path))
        if ids.shape != size:
            raise DataError(f'mask "{path}" has the size {ids.shape}, its image {size} (height, width): save both in '
                            'one size')
        segments = {segment['id']: segment for segment in annotation['segments_info']}
        there = set(np.unique(ids).tolist()) - {VOID_ID}
        for name, others in (('the PNG has', there - segments.keys()), ('the JSON lists', segments.keys() - there)):
            if others:
                raise DataError(f'mask "{path}": only {name} the segments {named([str(i) for i in sorted(others)])}. '
                                f'PNG and segments_info in "{self.path}" must belong together: export both again')
        regions = []
        for segment_id, segment in segments.items():
            index, is_crowd = self._index[segment['category_id']], bool(segment.get('iscrowd'))
            is_object = self.categories[index].is_thing is not False and not is_crowd
            track = segment_id if self.has_tracks and is_object else None
            regions.append(Region(index, ids == segment_id, track, is_crowd))
        return regions

    def _require_one_size(self, entries: list[dict]) -> None:
        sizes = {(entry['height'], entry['width']): entry for entry in entries if {'height', 'width'} <= entry.keys()}
        if len(sizes) > 1:
            first, second = list(sizes.values())[:2]
            raise DataError(f'"{self.path}": the images "{first["file_name"]}" and "{second["file_name"]}" have '
                            'different sizes, so they are no frames of one video. Put the frames of each video into a '
                            'folder of their own; if each image stands alone, say so (--single-images)')

    def _require_sizes(self, video: SourceVideo, entries: list[dict]) -> None:
        for entry in entries:
            size = tuple(entry.get(key) or length for key, length in zip(('height', 'width'), video.size))
            if size != video.size:
                raise DataError(f'"{self.path}": image {entry["id"]!r} has the size {size}, its file {video.size} '
                                '(height, width): give the images that were labelled')


def _find_faults(content: dict, path: Path) -> Iterator[Fault]:
    for key, what in (('images', 'image'), ('categories', 'category')):
        yield from find_repeats((entry['id'] for entry in content[key]), f'{what} id', f'id in {key}', path)
    yield from find_repeats((entry['name'] for entry in content['categories']), 'category', 'name in categories', path)
    yield from find_repeats((entry['image_id'] for entry in content['annotations']), 'image id',
                            'image_id in annotations', path)
    for key in ('images', 'annotations'):
        yield from find_bad_names((entry['file_name'] for entry in content[key]), f'file_name in {key}', path)
    if not content['annotations'] or not content['categories']:
        yield Fault('annotation', f'"{path}" has no annotations or no categories: expected {_EXPECTED}')
    images = {entry['id'] for entry in content['images']}
    categories = {entry['id'] for entry in content['categories']}
    for entry in content['annotations']:
        where = f'"{path}": the annotation of image {entry["image_id"]!r}'
        if entry['image_id'] not in images:
            yield Fault('unknown id', f'{where} is for an image that the file does not list')
        ids = [segment['id'] for segment in entry['segments_info']]
        if len(set(ids)) < len(ids) or VOID_ID in ids:
            yield Fault('annotation', f'{where} has a segment twice, or the segment 0, which stands for void')
        for segment in entry['segments_info']:
            if segment['category_id'] not in categories:
                yield Fault('unknown id', f'{where} has the category {segment["category_id"]}, which the file does '
                                          'not define')


def _find_masks(path: Path) -> Path:
    names = [path.stem, path.stem.replace('panoptic', 'masks'), 'masks', 'panoptic_masks']
    folder = next((path.parent / name for name in names if (path.parent / name).is_dir()), None)
    if folder is None:
        raise UsageError(f'the PNGs of "{path}" are not in "{path.with_suffix("")}": name their folder so, or give it '
                         '(--masks)')
    return folder


def _color(values: list[int] | None) -> tuple[int, int, int] | None:
    if values is None or len(values) != 3 or not all(0 <= value <= 255 for value in values):
        return None
    return values[0], values[1], values[2]


def _flag(value: int | bool | None) -> bool | None:
    return None if value is None else bool(value)
