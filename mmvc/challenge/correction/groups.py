# Copyright (c) The mmvc contributors. All rights reserved.
"""Groups of classes that are easily confused with each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmvc.utils.errors import UsageError


@dataclass(frozen=True)
class AmbiguousGroup:
    """Classes between which a multimodal model decides.

    Args:
        stuff (str): Common name of the classes in the question, e.g. ``'water'``.
        classes (tuple[str, ...]): Names of two or more classes: the possible answers.
        also (tuple[str, ...]): Classes whose segments are asked about but that are not possible answers, e.g. the
            general class ``'water'``. Defaults to ().
        always (bool): Whether every segment of the group is asked about. Otherwise only segments whose class changes
            in the video or whose margin is low. Defaults to False.

    Raises:
        UsageError: There are fewer than two possible answers, or a class is listed twice.
    """
    stuff: str
    classes: tuple[str, ...]
    also: tuple[str, ...] = ()
    always: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'classes', tuple(self.classes))  # config files have lists
        object.__setattr__(self, 'also', tuple(self.also))
        if len(set(self.classes)) < 2 or len({*self.classes, *self.also}) < len(self.classes) + len(self.also):
            raise UsageError(f'ambiguous group "{self.stuff}" has the classes {self.classes} and {self.also}: '
                             'expected two or more possible answers, and no class twice')


#: Groups of the 124 classes of VSPW. The first one is the example of arXiv 2406.04979.
VSPW_GROUPS = (
    AmbiguousGroup('water', ('sea', 'river', 'lake'), also=('water', ), always=True),
    AmbiguousGroup('ground', ('road', 'path', 'athletic_field'), also=('ground', )),
    AmbiguousGroup('frozen ground', ('ice', 'snowfield')),
    AmbiguousGroup('building', ('building', 'house', 'tower'), also=('other_construction', )),
    AmbiguousGroup('steps', ('stair', 'ladder', 'escalator')),
    AmbiguousGroup('post', ('pole', 'pillar')),
    AmbiguousGroup('plant', ('tree', 'flower', 'grass'), also=('other_plant', )),
    AmbiguousGroup('vehicle', ('car', 'bus', 'truck')),
    AmbiguousGroup('two-wheeler', ('bicycle', 'motorcycle')),
    AmbiguousGroup('boat', ('ship_or_boat', 'raft')),
    AmbiguousGroup('animal', ('cat', 'dog', 'horse', 'cattle'), also=('other_animal', )),
    AmbiguousGroup('seat', ('chair_or_seat', 'bench', 'sofa')),
    AmbiguousGroup('storage', ('cupboard_or_showcase_or_storage_rack', 'shelf', 'refrigerator')),
    AmbiguousGroup('bag', ('bag_or_package', 'traveling_case_or_trolley_case', 'box', 'basket')),
    AmbiguousGroup('dish', ('plate', 'tub_or_bowl_or_pot', 'bottle_or_cup')),
    AmbiguousGroup('cloth', ('curtain', 'textiles', 'clothes')),
    AmbiguousGroup('picture', ('painting_or_poster', 'billboard_or_Bulletin_Board', 'mirror')),
    AmbiguousGroup('screen', ('screen_or_television', 'computer', 'Mobile_phone')),
)


class GroupTable:
    """The groups of a dataset, looked up by class index.

    Args:
        groups (Sequence[AmbiguousGroup]): The groups. A class is in one group at most.
        classes (Sequence[str]): Names of all classes, in the order of their indices.

    Raises:
        UsageError: A group names an unknown class, or a class is in two groups.
    """

    def __init__(self, groups: Sequence[AmbiguousGroup], classes: Sequence[str]) -> None:
        self.groups = list(groups)
        self.classes = list(classes)
        #: Index of the group of each label, -1 if it has none, int16 (256,).
        self.group_of = np.full(256, -1, np.int16)
        for index, group in enumerate(self.groups):
            for name in (*group.classes, *group.also):
                if name not in self.classes:
                    raise UsageError(f'ambiguous group "{group.stuff}": the dataset has no class "{name}": correct '
                                     'the name, or take it out of the group')
                label = self.classes.index(name)
                if self.group_of[label] >= 0:
                    raise UsageError(f'class "{name}" is in the groups "{self.groups[self.group_of[label]].stuff}" '
                                     f'and "{group.stuff}": leave it in one')
                self.group_of[label] = index
