# Copyright (c) The mmvc contributors. All rights reserved.
"""COCO: images, their objects and categories in one JSON."""

from collections.abc import Iterator

from mmvc.utils.typing import PathLike

from .json_files import FLAG, ID, Fault, find_bad_names, find_repeats, raise_first, read_json

_IMAGE = {'id': ID, 'file_name': str, 'height?': int, 'width?': int}
# Masks are checked when they are decoded.
SCHEMA = {
    'images': [_IMAGE],
    'annotations': [
        {'id': int, 'image_id': ID, 'category_id': int, 'segmentation': (dict, list), 'iscrowd?': FLAG}
    ],
    'categories': [{'id': int, 'name': str}],
}


def read_annotations(path: PathLike, with_sizes: bool = False) -> dict:
    """Read and check the annotations of instances.

    Args:
        path (str | Path): JSON such as ``instances_train2017.json``.
        with_sizes (bool): Whether images must have ``height`` and ``width``. Defaults to False.

    Returns:
        dict: ``images``, ``annotations`` and ``categories``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It does not fit the schema, or has one of the faults of :func:`find_faults`.
    """
    schema = {**SCHEMA, 'images': [{**_IMAGE, 'height': int, 'width': int}]} if with_sizes else SCHEMA
    content = read_json(path, schema, 'instance annotations of COCO, such as instances_train2017.json')
    raise_first(find_faults(content, path))
    return content


def find_faults(content: dict, path: PathLike) -> Iterator[Fault]:
    """Find the contradictions in an annotation file that fits the schema.

    These are images, categories and annotations that are listed twice; images whose height or width is not positive;
    and annotations without a mask, or of an image or a category that is not listed.

    Args:
        content (dict): Content of the file.
        path (str | Path): The file.

    Yields:
        Fault: One for each contradiction.
    """
    for key, what in (('images', 'image'), ('categories', 'category'), ('annotations', 'annotation')):
        yield from find_repeats((entry['id'] for entry in content[key]), f'{what} id', f'id in {key}', path)
    for key in ('id', 'file_name'):
        yield from find_bad_names((image[key] for image in content['images']), f'{key} in images', path)
    for image in content['images']:
        size = [image.get(key) for key in ('height', 'width')]
        if any(length is not None and length < 1 for length in size):
            yield Fault('annotation', f'"{path}": image {image["id"]!r} has the height and width {size}; both must be '
                                      'at least 1')
    for annotation in content['annotations']:
        if not annotation['segmentation']:
            yield Fault('annotation', f'"{path}": annotation {annotation["id"]} has no mask (its segmentation is '
                                      'empty); remove it')
    for key, entries in dict(image_id=content['images'], category_id=content['categories']).items():
        known = {entry['id'] for entry in entries}
        for annotation in content['annotations']:
            if annotation[key] not in known:
                yield Fault('unknown id', f'"{path}": annotation {annotation["id"]} has the {key} '
                                          f'{annotation[key]!r}, which the file does not list')
