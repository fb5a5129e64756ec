# Copyright (c) The mmvc contributors. All rights reserved.
"""The formats that can be imported, by name."""

from pathlib import Path
from typing import Protocol

from .source import AnnotationSource


class Reader(Protocol):
    """Class of a reader: a subclass of :class:`AnnotationSource` with a name."""

    #: name on the command line
    NAME: str
    #: one line of help
    HELP: str

    @classmethod
    def from_path(cls, path: Path, images: Path | None = None) -> AnnotationSource:
        """Open annotations.

        Args:
            path (Path): File or folder of the annotations.
            images (Path, optional): Folder of frames, or video file. Defaults to None: where the annotations say, or
                beside them.

        Returns:
            AnnotationSource: The reader.

        Raises:
            DataError: The annotations are damaged, or their frames are not found.
        """

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether a file or folder looks like this format: cheap, and without exceptions.

        Args:
            path (Path): File or folder of the annotations.
        """


READERS: dict[str, type[Reader]] = {}
