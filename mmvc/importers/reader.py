# Copyright (c) The mmvc contributors. All rights reserved.
"""What readers have besides the annotations: a name, and options of their own on the command line."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmvc.utils.errors import UsageError

from .source import AnnotationSource


@dataclass(frozen=True)
class ReaderOption:
    """An option that only some formats have.

    Attributes:
        name (str): Name of the argument of the reader; the command line has ``-`` instead of ``_``.
        help (str): One line of help.
        type (Callable, optional): Converts the text of the command line. Defaults to None: the option is a switch.
    """

    name: str
    help: str
    type: Callable[[str], Any] | None = None

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f'--{self.name.replace("_", "-")}'


class FileReader(AnnotationSource):
    """Base class of readers that are opened by a path, the folder of the frames, and options.

    Args:
        path (Path): File or folder of the annotations.
        images (Path, optional): Folder of the frames or videos, or a video file. Defaults to None: beside the
            annotations.
        **options (Any): One for each of ``OPTIONS``.
    """

    #: name on the command line
    NAME: str
    #: one line of help
    HELP: str
    #: options of this format
    OPTIONS: Sequence[ReaderOption] = ()

    @abstractmethod
    def __init__(self, path: Path, images: Path | None = None, **options: Any) -> None:
        pass

    @classmethod
    def from_path(cls, path: Path, images: Path | None = None, **options: Any) -> AnnotationSource:
        """Open annotations; the arguments are those of the class.

        Raises:
            UsageError: A file or folder that is named does not exist.
        """
        for name, value in dict(options, images=images).items():
            if isinstance(value, Path) and not value.exists():
                raise UsageError(f'"{value}" does not exist: correct it (--{name.replace("_", "-")})')
        return cls(path, images, **options)

    @classmethod
    @abstractmethod
    def matches(cls, path: Path) -> bool:
        """Whether a file or folder looks like this format: cheap, and without exceptions.

        Args:
            path (Path): File or folder of the annotations.
        """
