# Copyright (c) The mmvc contributors. All rights reserved.
"""What an import has written, as a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prettytable import PrettyTable

from mmvc.utils.errors import named

_MANY = 0.05  # share of unlabelled pixels that is worth a remark


@dataclass(frozen=True)
class ImportSummary:
    """Counts of an import.

    Attributes:
        config (Path): The config that was written.
        classes (tuple[str, ...]): Names of the classes.
        split_of (Mapping[str, str]): Split of each video.
        records (Mapping[str, dict]): By video: ``frames`` and ``labelled`` (numbers of frames), ``size``, and
            ``pixels``, ``shown`` (frames) and ``objects`` by class.
        unlabelled (Sequence[str]): Videos that were left out because they have no labels.
        notes (Sequence[str]): Remarks of the source.
    """

    config: Path
    classes: tuple[str, ...]
    split_of: Mapping[str, str]
    records: Mapping[str, dict[str, Any]]
    unlabelled: Sequence[str]
    notes: Sequence[str]

    def total(self, key: str, split: str | None = None) -> int:
        """Sum of ``'frames'`` or ``'labelled'`` over the videos.

        Args:
            key (str): Which.
            split (str, optional): Of one split only. Defaults to None: of all.
        """
        return sum(record[key] for name, record in self.records.items() if split in (None, self.split_of[name]))

    def by_class(self, key: str) -> Counter[str]:
        """Sum of ``'pixels'``, ``'shown'`` or ``'objects'`` over the videos, by class.

        Args:
            key (str): Which.
        """
        total: Counter[str] = Counter()
        for record in self.records.values():
            total.update(record[key])
        return total

    def to_text(self) -> str:
        """Tables of the splits and of the classes, and remarks."""
        splits = PrettyTable(['split', 'videos', 'frames', 'labelled', 'share'], align='r')
        for split in dict.fromkeys(self.split_of.values()):
            frames, labelled = self.total('frames', split), self.total('labelled', split)
            videos = sum(value == split for value in self.split_of.values())
            splits.add_row([split, videos, frames, labelled, f'{labelled / frames:.1%}'])
        area = sum(record['labelled'] * record['size'][0] * record['size'][1] for record in self.records.values())
        pixels, shown, objects = (self.by_class(key) for key in ('pixels', 'shown', 'objects'))
        classes = PrettyTable(['class', 'frames', 'objects', 'pixels'], align='r')
        for name in self.classes:
            share = f'{pixels[name] / area:.2%}' if area else '-'
            classes.add_row([name, shown[name], objects[name] or '-', share])
        return '\n'.join([str(splits), str(classes), *self.remarks(area)])

    def remarks(self, area: int) -> list[str]:
        """What the user should know.

        Args:
            area (int): Number of pixels of the labelled frames.
        """
        remarks = list(self.notes)
        if self.unlabelled:
            remarks.append(f'{len(self.unlabelled)} videos without labels were left out: '
                           f'{named(list(self.unlabelled))}')
        absent = [name for name in self.classes if not self.by_class('shown')[name]]
        if absent:
            remarks.append(f'no frame shows {named(absent)}: leave them out (--classes, --void) or label some')
        if 'val' not in self.split_of.values():
            remarks.append('there is no validation video: validation uses the training videos, so its numbers are too '
                           'good')
        void = 1 - sum(self.by_class('pixels').values()) / area if area else 0
        if self.has_pixel_labels and void > _MANY:
            remarks.append(f'{void:.0%} of the pixels of labelled frames have no class, and are not trained on: make '
                           'them a class if they show no object (--background background)')
        return remarks

    @property
    def has_pixel_labels(self) -> bool:
        """Whether every pixel has a class or is unlabelled, unlike with tracks."""
        return not any('tracks' in (record['index'] or ()) for record in self.records.values())
