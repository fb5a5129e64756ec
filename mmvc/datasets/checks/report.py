# Copyright (c) The mmvc contributors. All rights reserved.
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from prettytable import PrettyTable

from mmvc.datasets.base_video import BaseVideoDataset
from mmvc.formats.json_files import Fault, read_json
from mmvc.formats.other_formats import OR_IMPORT
from mmvc.utils.errors import DataError, named
from mmvc.utils.files import files_in
from mmvc.utils.image_files import find_damage, orientation_of, size_of

# How to mend each kind of problem.
REMEDIES = {
    'missing file': 'download or convert the dataset again; a restarted converter only writes the missing files',
    'unreadable file': 'download these files again; a converter replaces empty and cut-off files, delete other '
                       'damaged ones first',
    'frame without mask': 'download or convert the masks again, or remove the frames; if only some frames of each '
                          'video are labelled, say so with --sparse-labels (in a config: sparse_labels=True)',
    'mask without frame': 'download the frames again, or remove the masks',
    'two files': 'two files are of one frame, such as 1.jpg and 1.JPG: keep one of them',
    'size': 'frame and mask (or annotation) must have one size: convert both from the same release',
    'name': 'names in the list or annotation file that lead out of the dataset: rename these videos or files',
    'unknown id': 'ids that the dataset does not define: correct the mask or the annotation file; check a dataset of '
                  'your own with --own',
    'annotation': 'the annotation file contradicts itself or its masks: convert or download it again',
    'list': 'write one name per line, each video once and in one split only',
    'classes': 'set model.num_classes and, for panoptic segmentation, model.postprocessor.thing_classes to those of '
               'the dataset',
    'refused': 'the dataset class does not load it, for the reason given',
    'total': 'not the number of the benchmark: the download or conversion is incomplete, or it is another release',
}


@dataclass
class CheckReport:
    """Findings of a check.

    Attributes:
        counts (dict[str, Counter]): Counts by split: ``videos``, ``frames``, ``labelled``, ``instances``.
        sizes (Counter): Number of frames by (width, height).
        problems (list[tuple[str, str]]): Kind (a key of ``REMEDIES``), and a description with the place.
        notes (list[str]): Remarks that are not problems.
        turned (list[str]): Frames with an EXIF orientation.
        others (list[str]): Images beside the frames that are not part of the dataset.
        labels (dict[str, dict[str, tuple[int, int]]]): Of splits with sparse labels, the number of labelled frames and
            of all frames, by video.
    """
    counts: dict[str, Counter] = field(default_factory=dict)
    sizes: Counter = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    labels: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def add(self, kind: str, what: str) -> None:
        """Add a problem."""
        assert kind in REMEDIES, kind
        self.problems.append((kind, what))

    def attempt(self, kind: str, load: Callable[[], object]) -> None:
        """Add a problem if ``load`` raises an error about files or their content."""
        try:
            load()
        except (OSError, ValueError) as error:
            self.add(kind, str(error))

    def add_faults(self, faults: Iterable[Fault]) -> bool:
        """Add the faults of an annotation file as problems.

        Returns:
            bool: Whether its files may be opened, since no name leads out of its folder.
        """
        kinds = set()
        for fault in faults:
            self.add(fault.kind, fault.what)
            kinds.add(fault.kind)
        return 'name' not in kinds

    def read_json(self, path: Path, schema: Any) -> Any:
        """Read an annotation file. If it is unreadable or does not fit the schema, add a problem and return None."""
        if not path.is_file():
            self.add('missing file', str(path))
            return None
        try:
            return read_json(path, schema, f'the annotations of the benchmark, or a dataset in its format{OR_IMPORT}')
        except DataError as error:
            # an error of the parser has a cause: the file is not JSON
            self.add('annotation' if error.__cause__ is None else 'unreadable file', str(error))
            return None

    def attempt_to_load(self, dataset: Callable[[], BaseVideoDataset]) -> None:
        """Add a problem if a dataset, which was built without reading its files, refuses them."""
        self.attempt('refused', lambda: dataset().load_data_list())

    def count(self, split: str, **numbers: int) -> None:
        """Add to the counts of a split."""
        self.counts.setdefault(split, Counter()).update(numbers)

    def count_labels(self, split: str, video: str, labelled: int, frames: int) -> None:
        """Record the labelled frames of a video of a split with sparse labels; none is a problem."""
        self.labels.setdefault(split, {})[video] = labelled, frames
        if not labelled:
            self.add('frame without mask', f'{split}: no frame of video "{video}" is labelled')

    def merge(self, other: 'CheckReport') -> None:
        """Add the findings of another report."""
        for split, numbers in other.counts.items():
            self.count(split, **numbers)
        self.sizes.update(other.sizes)
        self.problems.extend(other.problems)
        self.notes.extend(other.notes)
        for split, videos in other.labels.items():
            self.labels.setdefault(split, {}).update(videos)
        self.turned.extend(other.turned)
        self.others.extend(other.others)

    def total(self, what: str) -> int:
        """Sum of a count over the splits."""
        return sum(numbers[what] for numbers in self.counts.values())

    def expect(self, split: str, what: str, expected: int | Iterable[int]) -> None:
        """Add a problem unless a count (with ``split='all'``, of all splits together) is an expected one."""
        expected = {expected} if isinstance(expected, int) else set(expected)
        found = self.total(what) if split == 'all' else self.counts.get(split, Counter())[what]
        if found not in expected:
            self.add('total', f'{split}: {found} {what}, the benchmark has {" or ".join(map(str, sorted(expected)))}')

    def image_size(self, path: Path, quick: bool) -> tuple[int, int] | None:
        """Width and height of an image when it is loaded; None, noting it, if it cannot be read.

        Args:
            path (Path): The file.
            quick (bool): Whether to read its header only, and not to decode it.
        """
        try:
            damage = None if quick else find_damage(path.read_bytes())
            if damage is not None:
                raise ValueError(damage)
            with Image.open(path) as image:
                size = size_of(image)
                if orientation_of(image) != 1:
                    self.turned.append(str(path))
                if not quick:
                    image.load()
                return size
        except FileNotFoundError:
            self.add('missing file', str(path))
        except Exception as error:  # a damaged file can fail in any way
            self.add('unreadable file', f'{path}: {error}')
        return None

    def files_in(self, folder: Path, endings: Sequence[str]) -> dict[str, Path]:
        """Files of frames or masks by name of the frame; none, noting it, if two are of one frame."""
        try:
            return files_in(folder, endings)
        except DataError as error:
            self.add('two files', str(error))
            return {}

    def remarks(self) -> list[str]:
        """Everything that is to be said and is not a problem."""
        remarks = list(self.notes)
        if self.turned:
            remarks.append(f'{len(self.turned)} images have an EXIF orientation, by which they are turned when they '
                           f'are loaded; their masks must fit the turned images: {named(self.turned)}')
        if self.others:
            remarks.append(f'{len(self.others)} images beside the frames are not part of the dataset: '
                           f'{named(self.others)}')
        return remarks

    def to_text(self, limit: int = 10) -> str:
        """Format the report: tables of counts and sizes, then the problems by kind, at most ``limit`` of each."""
        columns = sorted({what for numbers in self.counts.values() for what in numbers})
        table = PrettyTable(['split', *columns], align='r')
        table.add_rows([[split, *(numbers[what] for what in columns)] for split, numbers in self.counts.items()])
        lines = [str(table)]
        if self.sizes:
            sizes = ', '.join(f'{w} x {h}: {number}' for (w, h), number in self.sizes.most_common(8))
            lines.append(f'frame sizes (width x height: frames): {sizes}'
                         f'{f", and {len(self.sizes) - 8} other sizes" if len(self.sizes) > 8 else ""}')
        for split, videos in self.labels.items():
            lines += _label_lines(split, videos, limit)
        lines.extend(self.remarks())
        for kind, remedy in REMEDIES.items():
            found = [what for problem, what in self.problems if problem == kind]
            if found:
                lines.append(f'\n{kind}: {len(found)}; {remedy}')
                lines.extend(f'  {what}' for what in found[:limit])
                if len(found) > limit:
                    lines.append(f'  ... and {len(found) - limit} more (--json writes all, --limit shows more)')
        lines.append(f'\n{len(self.problems)} problems' if self.problems else '\nno problems')
        return '\n'.join(lines)

    def to_dict(self) -> dict:
        """The whole report as plain data."""
        return dict(
            counts={split: dict(numbers) for split, numbers in self.counts.items()},
            sizes=[dict(width=w, height=h, frames=number) for (w, h), number in self.sizes.most_common()],
            labels={split: [dict(video=video, labelled=labelled, frames=frames)
                            for video, (labelled, frames) in videos.items()] for split, videos in self.labels.items()},
            notes=self.remarks(),
            problems=[dict(kind=kind, what=what) for kind, what in self.problems])


def _label_lines(split: str, videos: dict[str, tuple[int, int]], limit: int) -> list[str]:
    """Share of the labelled frames of a split, and of the videos with the lowest shares."""
    total, frames = (sum(numbers) for numbers in zip(*videos.values()))
    lines = [f'{split}: sparse labels, {total} of {frames} frames are labelled ({total / frames:.1%})']
    ordered = sorted(videos.items(), key=lambda item: item[1][0] / item[1][1])
    lines += [f'  {video}: {labelled} of {length} ({labelled / length:.1%})'
              for video, (labelled, length) in ordered[:limit]]
    if len(ordered) > limit:
        lines.append(f'  ... and {len(ordered) - limit} with higher shares (--json writes all, --limit shows more)')
    return lines
