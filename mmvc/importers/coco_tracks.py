# Copyright (c) The mmvc contributors. All rights reserved.
"""Reader of COCO instances whose images are the frames of videos, with or without track ids."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycocotools import mask as mask_utils

from mmvc.formats.json_files import FLAG, ID, find_bad_names, find_repeats, raise_first, read_json
from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.natural_order import natural_key

from .detect import contains
from .frame_files import VIDEO_SUFFIXES, FileFinder, frame_number, use_slashes, video_of_file, video_of_images
from .json_exports import find_json, only_json_in
from .reader import FileReader
from .shapes import fill_rectangle
from .source import Category, Region, SourceVideo

_SCHEMA = {
    'images': [{
        'id': ID, 'file_name': str, 'height': int, 'width': int, 'video_id?': ID, 'frame_id?': int, 'frame_index?': int
    }],
    'annotations': [{
        'image_id': ID, 'category_id': ID, 'segmentation?': (dict, list), 'bbox?': [float], 'iscrowd?': FLAG,
        'track_id?': ID, 'instance_id?': ID, 'attributes?': dict
    }],
    'categories': [{'id': ID, 'name': str, 'isthing?': FLAG}],
    'videos?': [{'id': ID, 'name?': str, 'file_name?': str}],
}
_EXPECTED = 'instances of COCO, such as instances_default.json: images, annotations and categories'
_ORDER = ('frame_id', 'frame_index')  # place of an image in its video


class CocoTracks(FileReader):
    """Reader of COCO instances.

    The images of a folder, or of a ``video_id``, are a video. The track id of an object is ``track_id`` of its
    ``attributes``, as CVAT writes it, or ``track_id`` or ``instance_id`` of its annotation. Masks are polygons or RLE;
    an object that has only a box is a filled box. A frame is labelled if it has an annotation.

    Args:
        path (Path): The JSON, or a folder with one in it or in ``annotations``.
        images (Path, optional): Folder of the frames; or the video file, if the images have the names that CVAT gives
            to the frames of one. Defaults to None: ``images`` beside the JSON or its folder, or the folder of the
            JSON.

    Raises:
        DataError: The file is damaged, or images are not found.
    """

    NAME = 'coco'
    HELP = 'COCO instances, with track_id where there are tracks: CVAT COCO 1.0, BDD100K, TAO'

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self._path = find_json(path)
        content = read_json(self._path, _SCHEMA, _EXPECTED)
        use_slashes(content['images'])
        self._check(content)
        categories = _without_empty_doubles(content)
        self.categories = [Category(each['name'], is_thing=None if each.get('isthing') is None else
                                    bool(each['isthing'])) for each in categories]
        self._category_of = {str(category['id']): index for index, category in enumerate(categories)}
        self._annotations: dict[str, list[dict]] = defaultdict(list)
        for number, annotation in enumerate(content['annotations']):
            annotation['place'] = f'annotations[{number}]'
            self._annotations[str(annotation['image_id'])].append(annotation)
        self.has_tracks = any(_track_of(each) is not None for each in content['annotations'])
        num_boxes = sum(not each.get('segmentation') for each in content['annotations'])
        self.notes = [f'{num_boxes} of {len(content["annotations"])} objects have only a box: their masks are filled '
                      'boxes'] if num_boxes else []
        self._videos = self._list_videos(content, images)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """See :meth:`FileReader.matches`."""
        file = only_json_in(path) if path.is_dir() else path
        return file is not None and file.suffix.lower() == '.json' \
            and contains(file, '"images"', '"file_name"') and contains(file, '"category_id"', '"image_id"') \
            and not contains(file, '"segments_info"')

    def videos(self) -> list[SourceVideo]:
        return self._videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        assert isinstance(video.key, dict)
        for frame in video.frames:
            if frame.labelled:
                yield [self._region(annotation, video.size) for annotation in self._annotations[video.key[frame.name]]]

    def _region(self, annotation: dict, size: tuple[int, int]) -> Region:
        segmentation, box = annotation.get('segmentation'), annotation.get('bbox')
        try:
            if segmentation:
                mask = mask_utils.decode(to_rle(segmentation, *size)).astype(bool)
            elif box is not None and len(box) == 4:
                if min(box[2:]) < 0:
                    raise DataError(f'its bbox has the size {box[2]:g} x {box[3]:g}, which is below 0: draw the box '
                                    'again, and export again')
                mask = fill_rectangle([box[:2], [box[0] + box[2], box[1] + box[3]]], size)
            else:
                raise DataError('it has neither a mask nor a box: delete the object in the tool, and export again')
        except DataError as error:
            raise DataError(f'"{self._path}", {annotation["place"]}: {error}') from error
        track = _track_of(annotation)
        # CVAT marks every mask that was drawn with the brush as a crowd; what has a track is one object
        return Region(self._category_of[str(annotation['category_id'])], mask, track,
                      bool(annotation.get('iscrowd')) and track is None)

    def _check(self, content: dict) -> None:
        path = self._path
        if not content['images']:
            raise DataError(f'"{path}" has no images: export the annotations again')
        raise_first(find_repeats((each['id'] for each in content['images']), 'image id', 'id in images', path))
        raise_first(find_repeats((each['id'] for each in content['categories']), 'category id', 'id in categories',
                                 path))
        raise_first(find_bad_names((each['file_name'] for each in content['images']), 'file_name in images', path))
        for key, entries in dict(image_id='images', category_id='categories').items():
            known = {str(each['id']) for each in content[entries]}
            for number, annotation in enumerate(content['annotations']):
                if str(annotation[key]) not in known:
                    raise DataError(f'"{path}", annotations[{number}]: the {key} {annotation[key]!r} is not among the '
                                    f'{entries}: export the annotations again')

    def _list_videos(self, content: dict, images: Path | None) -> list[SourceVideo]:
        groups = self._group(content)
        for name, group in groups:
            sizes = {(image['height'], image['width']) for image in group}
            if len(sizes) > 1:
                raise DataError(f'"{self._path}": the images of "{name}" have several sizes, such as '
                                f'{" and ".join(map(str, sorted(sizes)[:2]))} (height, width): all frames of a video '
                                'must have one size. Put each video into a folder of its own')
        if images is not None and images.is_file():
            return [self._from_video_file(groups, images)]
        finder = FileFinder(images or self._find_images(), any_suffix=True)
        return [self._from_images(name, group, finder) for name, group in groups]

    def _group(self, content: dict) -> list[tuple[str, list[dict]]]:
        """Name and images of each video. Videos of one name stay apart, and the writer refuses them."""
        names = {str(each['id']): each.get('name') or each.get('file_name') or f'video_{each["id"]}'
                 for each in content.get('videos') or ()}
        groups: dict[tuple[str, str], list[dict]] = defaultdict(list)
        for image in content['images']:
            if image.get('video_id') is not None:
                groups['video', str(image['video_id'])].append(image)
            else:
                groups['folder', '/'.join(image['file_name'].split('/')[:-1])].append(image)
        full = {key: names.get(key[1], f'video_{key[1]}') if key[0] == 'video' else key[1] or self._default_name()
                for key in groups}
        short = {key: _without_video_suffix(name) if key[0] == 'video' else name for key, name in full.items()}
        times = Counter(short.values())
        named_groups = [(short[key] if times[short[key]] == 1 else full[key], group) for key, group in groups.items()]
        return sorted(named_groups, key=lambda pair: natural_key(pair[0]))

    def _default_name(self) -> str:
        folder = self._path.resolve().parent
        return (folder.parent if folder.name == 'annotations' else folder).name or self._path.stem

    def _from_images(self, name: str, group: list[dict], finder: FileFinder) -> SourceVideo:
        group = self._sort(group)
        stems = [Path(image['file_name']).stem for image in group]
        if len(set(stems)) < len(stems):
            repeated = next(stem for stem in stems if stems.count(stem) > 1)
            raise DataError(f'"{self._path}": video "{name}" has two images called "{repeated}": rename one of them')
        key = {stem: str(image['id']) for stem, image in zip(stems, group)}
        paths = {stem: finder.find(image['file_name'], f'"{self._path}", image {image["id"]!r}')
                 for stem, image in zip(stems, group)}
        labelled = [stem for stem in stems if key[stem] in self._annotations]
        return video_of_images(name, paths, labelled, key, (group[0]['height'], group[0]['width']))

    def _sort(self, group: list[dict]) -> list[dict]:
        for key in _ORDER:
            places = [image.get(key) for image in group]
            if None not in places and len(set(places)) == len(places):
                return sorted(group, key=lambda image: image[key])
        return sorted(group, key=lambda image: natural_key(image['file_name']))

    def _from_video_file(self, groups: list[tuple[str, list[dict]]], path: Path) -> SourceVideo:
        if len(groups) > 1:
            raise UsageError(f'"{self._path}" has {len(groups)} videos ({named([name for name, _ in groups])}), but '
                             f'"{path}" is one file: give the folder of the frames (--images)')
        [(name, group)] = groups
        numbers = {frame_number(Path(image['file_name']).stem): image for image in group}
        if None in numbers or len(numbers) < len(group):
            raise UsageError(f'"{self._path}" has images with other names than frame_000000.png, so that their places '
                             f'in "{path}" are not known: give the folder of the frames (--images)')
        ids = {number: str(image['id']) for number, image in numbers.items() if number is not None}
        video = video_of_file(name, path, [number for number, key in ids.items() if key in self._annotations])
        size = (group[0]['height'], group[0]['width'])
        if video.size != size:
            raise DataError(f'"{path}" has frames of the size {video.size}, "{self._path}" is for {size} (height, '
                            'width): give the video that was labelled (--images)')
        frames = [frame for frame in video.frames if frame.index in ids]
        return SourceVideo(name, size, frames, video.video_file, {frame.name: ids[frame.index] for frame in frames})

    def _find_images(self) -> Path:
        folder = self._path.parent
        candidates = [folder.parent / 'images', folder / 'images', folder]
        return next(path for path in candidates if path.is_dir())


def _without_empty_doubles(content: dict) -> list[dict]:
    """The categories, without those of a name that another has, too, and of no object: Roboflow lists its projects."""
    used = {str(each['category_id']) for each in content['annotations']}
    times = Counter(each['name'] for each in content['categories'])
    return [each for each in content['categories'] if times[each['name']] == 1 or str(each['id']) in used]


def _without_video_suffix(name: str) -> str:
    suffix = Path(name).suffix
    return name[:-len(suffix)] if suffix.lower() in VIDEO_SUFFIXES and Path(name).stem else name


def _track_of(annotation: dict[str, Any]) -> int | str | None:
    """Track id of an object; None if it has none."""
    for value in ((annotation.get('attributes') or {}).get('track_id'), annotation.get('track_id'),
                  annotation.get('instance_id')):
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            return value
    return None
