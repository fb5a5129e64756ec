# Copyright (c) The mmvc contributors. All rights reserved.
"""Which classes a dataset gets from the categories of an annotation file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmvc.formats.label_maps import VOID_LABEL
from mmvc.utils.errors import DataError, UsageError, named

from .source import AnnotationSource, Category

BACKGROUND = 'background'
_LONGEST_NAME = 200


@dataclass(frozen=True)
class ClassMap:
    """Classes of a dataset, and the class of each category of its source.

    Attributes:
        names (tuple[str, ...]): Names of the classes.
        palette (tuple[tuple[int, int, int], ...]): Their colours, RGB.
        is_thing (tuple[bool, ...]): Which of them have objects that can be counted.
        index_of (dict[int, int]): Class index by category index. Pixels of other categories are unlabelled.
        background (int, optional): Class of pixels outside all regions. None: they are unlabelled.
    """

    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    is_thing: tuple[bool, ...]
    index_of: dict[int, int]
    background: int | None = None


def choose_classes(source: AnnotationSource,
                   layout: str,
                   chosen: Sequence[str] | None = None,
                   void: Sequence[str] = (),
                   background: str | None = None,
                   stuff: Sequence[str] = ()) -> ClassMap:
    """Choose, rename and merge the categories of a source.

    Args:
        source (AnnotationSource): The source.
        layout (str): ``'semantic'``, ``'instances'`` or ``'panoptic'``. Only things become classes of instances.
        chosen (Sequence[str], optional): Names of categories, in the order of the classes, each with ``=CLASS`` behind
            it if the class has another name; several categories may have one class. Defaults to None: all categories,
            in the order of the file.
        void (Sequence[str]): Names of categories whose pixels are unlabelled. Defaults to ().
        background (str, optional): Class of the pixels outside all regions. Defaults to None: ``'background'`` if the
            file labels them, otherwise they are unlabelled. It is the last class, unless another one has its name.
        stuff (Sequence[str]): Classes that are stuff, whatever the file says. Defaults to ().

    Returns:
        ClassMap: The classes.

    Raises:
        DataError: The file has no categories, a name twice, or a name that no class can have.
        UsageError: A name is not one of a category, there are too many classes, or none is left.
    """
    _check_names(source.categories)
    known = {category.name: index for index, category in enumerate(source.categories)}
    own_background = source.covers_frames and layout != 'instances' and BACKGROUND not in known
    named_regions = [*known, BACKGROUND] if own_background else list(known)
    _require_known(void, named_regions, 'the categories to leave out (--void)')
    targets = _targets(chosen, known, void)
    _require_known(targets, named_regions, 'the classes (--classes)')
    labelled_background = targets.pop(BACKGROUND, BACKGROUND) if own_background else None
    if layout == 'instances':
        background = None
    elif background is None and BACKGROUND not in void:
        background = labelled_background
    by_class: dict[str, list[Category]] = {}
    for name, target in targets.items():
        by_class.setdefault(target, []).append(source.categories[known[name]])
    _require_known(stuff, by_class, 'the classes that are stuff (--stuff)')
    things = {name: _is_thing(name, categories, stuff) for name, categories in by_class.items()}
    if layout == 'instances':
        by_class = {name: categories for name, categories in by_class.items() if things[name]}
    if background is not None and background not in by_class:
        by_class[background] = []
        things[background] = False
    names = tuple(by_class)
    if not names:
        raise UsageError(f'no class is left for the layout {layout}: the categories are {named(list(known))}. Choose '
                         'others (--classes), or another layout (--layout)')
    if len(names) > VOID_LABEL:
        raise UsageError(f'{len(names)} classes do not fit the 8 bits of a label map: choose at most {VOID_LABEL} '
                         '(--classes)')
    return ClassMap(
        names,
        tuple(_color(categories, index) for index, categories in enumerate(by_class.values())),
        tuple(things[name] for name in names),
        {known[name]: names.index(target) for name, target in targets.items() if target in names},
        None if background is None else names.index(background))


def _targets(chosen: Sequence[str] | None, known: dict[str, int], void: Sequence[str]) -> dict[str, str]:
    """Name of the class of each category that is kept, in the order of the classes."""
    if chosen is None:
        return {name: name for name in known if name not in void}
    targets: dict[str, str] = {}
    for entry in chosen:
        name, separator, target = (entry, '', '') if entry in known else entry.partition('=')
        if separator and not target:
            raise UsageError(f'"{entry}" names no class (--classes): write CATEGORY=CLASS, such as car=vehicle')
        if name in targets or name in void:
            raise UsageError(f'the category "{name}" is named twice (--classes, --void): name it once')
        targets[name] = target or name
    return targets


def _require_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f'{what} name "{unknown[0]}", which the annotations do not have: they have '
                         f'{named(sorted(known))}')


def _check_names(categories: Sequence[Category]) -> None:
    if not categories:
        raise DataError('the annotations have no categories: add labels in the tool, and export again')
    seen: set[str] = set()
    for category in categories:
        name = category.name
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise DataError(f'the category {name[:50]!r} is empty, longer than {_LONGEST_NAME} letters, or has '
                            'control characters: rename it in the tool, and export again')
        if name in seen:
            raise DataError(f'two categories are called "{name}": rename one of them in the tool, and export again')
        seen.add(name)


def _is_thing(name: str, categories: Sequence[Category], stuff: Sequence[str]) -> bool:
    """Whether a class has objects: as the file says, otherwise it has."""
    said = [category.is_thing for category in categories if category.is_thing is not None]
    if len(set(said)) > 1 and name not in stuff:
        raise UsageError(f'the class "{name}" is merged from things and stuff: name it in --stuff, or do not merge '
                         'them')
    return name not in stuff and (said[0] if said else True)


def _color(categories: Sequence[Category], index: int) -> tuple[int, int, int]:
    from mmvc.visualization.colors import stable_colors  # slow to import, and not needed for --help
    colors = [category.color for category in categories if category.color is not None]
    red, green, blue = colors[0] if colors else stable_colors([index])[0].tolist()
    return red, green, blue
