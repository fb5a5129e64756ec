# Copyright (c) The mmvc contributors. All rights reserved.
"""Sources of frames: files, folders, arrays and cameras. None holds more than one frame in memory by itself."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import torch

from mmvc.datasets.transforms import LoadFrameFromFile
from mmvc.utils.errors import UsageError
from mmvc.utils.files import IMAGE_SUFFIXES
from mmvc.utils.natural_order import natural_key

from .addresses import stream_name, video_name
from .images import ImageInput, is_image, is_video, to_bgr
from .results import SkippedFrame
from .source_names import make_unique
from .video_files import open_pipe, open_video

#: addresses of what has no end by its nature
LIVE_SCHEMES = ('rtsp', 'rtsps', 'rtmp', 'rtmps', 'udp')
# Frames that are decoded while the network computes. A frame of a live source that waits is late.
READ_AHEAD, READ_AHEAD_LIVE = 3, 1
Source = str | Path | int | ImageInput | Sequence[ImageInput] | Iterable[ImageInput]


@dataclass(frozen=True)
class Frame:
    """A frame that was read.

    Attributes:
        index (int): Position in the source, from 0.
        name (str): Name of its output.
        image (ndarray): BGR, uint8, (H, W, 3).
    """

    index: int
    name: str
    image: np.ndarray


class FrameSource(ABC):
    """Base class of video sources.

    Args:
        name (str): Name of its output.
        description (str): Name of the source in messages.
        fps (float, optional): Frames per second, if known. Defaults to None.
        num_frames (int, optional): Number of frames, if known; it may be an estimate. Defaults to None.
        origin (Path, optional): File or folder that the name is from. Defaults to None.
    """

    #: whether the frames can be read more than once
    repeatable = True
    #: whether frames arrive in real time and must be segmented at once
    live = False
    #: whether the source has no end
    endless = False
    #: frames that may be read ahead in a thread while the network computes; 0: they are read where they are asked for
    frames_ahead = 0
    #: whether it is a single image instead of a video
    is_image = False
    #: local files that it reads
    files: Sequence[Path] = ()

    def __init__(self, name: str, description: str, fps: float | None = None,
                 num_frames: int | None = None, origin: Path | None = None) -> None:
        self.name = name
        self.description = description
        self.fps = fps
        self.num_frames = num_frames
        self.origin = origin

    @abstractmethod
    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """Yield every ``stride``-th frame, beginning with the first; a :class:`SkippedFrame` if it cannot be read."""


class ImageFiles(FrameSource):
    """A video whose frames are image files.

    Args:
        files (Sequence[Path]): The files, in order.
        name (str): Name of its output.
        load (Callable, optional): Loads the image at a path: BGR, uint8. It raises OSError or ValueError if it
            cannot. Defaults to None: :class:`LoadFrameFromFile`. It is called in a thread.
    """

    frames_ahead = READ_AHEAD

    def __init__(self, files: Sequence[Path], name: str, load: Callable[[str], np.ndarray] | None = None) -> None:
        super().__init__(name, str(files[0] if len(files) == 1 else files[0].parent), num_frames=len(files),
                         origin=files[0] if files[0].stem == name and len(files) == 1 else files[0].parent)
        self.files = list(files)
        self.load = load or _load_frame
        stems = [file.stem for file in files]
        self._names = stems if len(set(stems)) == len(stems) else [f'{index:08d}' for index in range(len(files))]

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """See :meth:`FrameSource.read`."""
        for index in range(0, len(self.files), stride):
            try:
                yield Frame(index, self._names[index], self.load(str(self.files[index])))
            except (OSError, ValueError) as error:
                yield SkippedFrame(index, str(self.files[index]), str(error))


class VideoFile(FrameSource):
    """A video file, or an address that OpenCV can open.

    An address is a live, endless stream if its scheme is in ``LIVE_SCHEMES`` or its number of frames is not known. A
    complete file on a web server (``https://.../clip.mp4``) is treated like a local video.

    Args:
        path (str): File or address.
    """

    frames_ahead = READ_AHEAD

    def __init__(self, path: str) -> None:
        with open_video(path) as video:
            live = '://' in path and (path.split('://')[0].lower() in LIVE_SCHEMES or video.num_frames is None)
            name = Path(path).stem
            if '://' in path:
                name = stream_name(path) if live else video_name(path)
            super().__init__(name, path, video.fps, None if live else video.num_frames,
                             Path(urlsplit(path).path if '://' in path else path))
        self.path = path
        self.files = [] if '://' in path else [Path(path)]
        self.live = self.endless = live
        if live:
            self.frames_ahead = READ_AHEAD_LIVE
        self.repeatable = not live

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """See :meth:`FrameSource.read`."""
        with open_video(self.path) as video:
            yield from _numbered(video.read(stride), self.path)


class Pipe(FrameSource):
    """A named pipe, or ``/dev/stdin`` behind a pipe: a video that can be read once, from its first byte to its last.

    Args:
        path (str): The pipe.
    """

    live = True
    repeatable = False
    frames_ahead = READ_AHEAD_LIVE

    def __init__(self, path: str) -> None:
        super().__init__(Path(path).name, path)
        self.path = path

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """See :meth:`FrameSource.read`."""
        with open_pipe(self.path) as video:
            yield from _numbered(video.read(stride), self.path)


class BrokenSource(FrameSource):
    """An input that cannot be opened, among others that can.

    Args:
        name (str): Name of its output, which it will not have.
        error (UsageError): Why it cannot be opened.
        origin (Path, optional): The file. Defaults to None.
    """

    def __init__(self, name: str, error: UsageError, origin: Path | None = None) -> None:
        super().__init__(name, name, origin=origin)
        self.error = error

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """Raise the error."""
        raise self.error


class Camera(FrameSource):
    """A local camera.

    Args:
        index (int): Number of the camera, from 0.
    """

    live = endless = True
    repeatable = False
    frames_ahead = READ_AHEAD_LIVE

    def __init__(self, index: int) -> None:
        self.camera = index
        with open_video(index) as video:
            super().__init__(f'camera{index}', f'camera {index}', video.fps)

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """See :meth:`FrameSource.read`."""
        with open_video(self.camera) as video:
            yield from _numbered(video.read(stride), self.description)


class Arrays(FrameSource):
    """Frames in memory, or from an iterator.

    Args:
        frames (Iterable[ndarray | Tensor | Image]): Frames, see :func:`to_bgr`. A sequence can be read again, an
            iterator cannot.
        name (str): Name of its output.
    """

    def __init__(self, frames: Iterable[ImageInput], name: str) -> None:
        has_length = isinstance(frames, Sized) and hasattr(frames, '__getitem__')
        super().__init__(name, name, num_frames=len(frames) if isinstance(frames, Sized) and has_length else None)
        self.frames = frames
        self.repeatable, self.live = has_length, not has_length

    def read(self, stride: int = 1) -> Iterator[Frame | SkippedFrame]:
        """See :meth:`FrameSource.read`."""
        for index, image in enumerate(self.frames):
            if index % stride:
                continue
            try:
                yield Frame(index, f'{index:08d}', to_bgr(image))
            except ValueError as error:
                yield SkippedFrame(index, f'frame {index} of {self.description}', str(error))


def open_sources(inputs: Source | Sequence[Source],
                 load_image: Callable[[str], np.ndarray] | None = None,
                 keep_going: bool = False) -> list[FrameSource]:
    """Open inputs of any kind, and check that they can be read.

    Args:
        inputs: One input or a list of inputs. A string or path is a video file, a folder of frames, an image, a glob
            pattern, a named pipe, an address (``rtsp://...``, ``https://...``, ``file://...``) or a camera number.
            An array (H, W, 3), a tensor (3, H, W) or a PIL image is one image. An array (T, H, W, 3), a tensor (T, 3,
            H, W), or a list or iterator of such images is one video. Arrays are BGR; the others are RGB, see
            :func:`to_bgr`. A list of image files, or a pattern that matches only images, is one video as well.
        load_image (Callable, optional): See :class:`ImageFiles`.
        keep_going (bool): Whether an input that cannot be opened becomes a :class:`BrokenSource`, if another one can
            be opened. Defaults to False: it is an error.

    Returns:
        list[FrameSource]: One source per video, with unique names.

    Raises:
        UsageError: An input does not exist, is empty, or is of another kind; with ``keep_going`` only if all are so.
    """
    items: Sequence[Any] = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if not items:
        raise UsageError('there is nothing to segment: the list of inputs is empty; give at least one')
    sources: list[FrameSource]
    if items is inputs and any(is_image(item) for item in items):
        sources = [Arrays(items, 'video')]
    elif items is inputs and all(isinstance(item, (str, Path)) and _is_image_file(Path(item)) for item in items):
        sources = [_image_files([Path(item) for item in items], load_image)]
    else:
        sources = [source for item in items for source in _open(item, load_image)]
    broken = [source for source in sources if isinstance(source, BrokenSource)]
    if broken and (not keep_going or len(broken) == len(sources)):
        raise broken[0].error
    make_unique(sources)
    return sources


def _open(item: Source, load_image: Callable | None) -> list[FrameSource]:
    try:
        return _open_intact(item, load_image)
    except UsageError as error:
        return [_broken(item, error)]
    except OSError as error:  # a name that is too long, a folder that may not be read
        reason = UsageError(f'"{error.filename}" cannot be read: {error.strerror}') if error.strerror else \
            UsageError(str(error))
        return [_broken(item, reason)]


def _broken(item: Any, error: UsageError) -> BrokenSource:
    if isinstance(item, str) and '://' in item:
        return BrokenSource(video_name(item), error, Path(urlsplit(item).path))
    origin = Path(item) if isinstance(item, (str, Path)) else None
    return BrokenSource((origin.stem if origin else '') or 'input', error, origin)


def _open_intact(item: Source, load_image: Callable | None) -> list[FrameSource]:
    if is_image(item):
        source = Arrays([cast(ImageInput, item)], 'image')
        source.is_image = True
        return [source]
    if is_video(item):
        return [Arrays(cast(Iterable[ImageInput], item), 'video')]
    if isinstance(item, np.ndarray):
        raise UsageError(f'an array of frames must have the shape (H, W, 3) or (T, H, W, 3), got {item.shape}')
    if isinstance(item, torch.Tensor):
        raise UsageError(f'a tensor of frames must have the shape (3, H, W) or (T, 3, H, W), got {tuple(item.shape)}')
    iterable = hasattr(item, '__iter__') or hasattr(item, '__getitem__')
    if isinstance(item, (bool, bytes, dict)) or not (iterable or isinstance(item, (Path, Integral))):
        raise UsageError(f'cannot read frames from {item!r}: expected a path, a pattern, arrays or a camera number')
    if isinstance(item, Integral):
        return [Camera(int(item))]
    if not isinstance(item, (str, Path)):
        return [Arrays(cast(Iterable[ImageInput], item), 'video')]
    text = str(item)
    if text.lower().startswith('file://'):
        text = url2pathname(urlsplit(text).path)
    path = Path(text)
    if not text.strip():
        raise UsageError('an input is an empty text: give a file, a folder, a pattern, an address or a camera number')
    if path.is_dir():
        return [_folder(path, load_image)]
    if path.is_file():
        if path.stat().st_size == 0:
            raise UsageError(f'"{path}" is empty: copy or download it again')
        return [_image_files([path], load_image) if _is_image_file(path) else VideoFile(text)]
    if path.is_fifo() or path.is_socket():
        return [Pipe(text)]
    if path.is_char_device() and (number := re.fullmatch(r'/dev/video(\d+)', str(path.resolve()))):
        return [Camera(int(number[1]))]
    if text.isdecimal():
        return [Camera(int(text))]
    if '://' in text:
        return [VideoFile(text)]
    if re.search(r'[*?\[]', text):
        return _matches(text, load_image)
    if path.exists():
        raise UsageError(f'"{path}" is a device without a video: give a file, a folder, a pipe or a camera number')
    raise UsageError(f'"{path}" does not exist: give a file, a folder, a pattern, an address or a camera number')


def _folder(folder: Path, load_image: Callable | None) -> FrameSource:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith('.')]
    images = [entry for entry in entries if entry.is_file() and _is_image_file(entry)]
    if not images:
        found = f'{len(entries)} others, such as "{sorted(entries)[0].name}"' if entries else 'nothing'
        raise UsageError(f'folder "{folder}" holds no images ({", ".join(IMAGE_SUFFIXES)}) but {found}. If it holds '
                         f'videos, or folders of frames, pass the pattern "{folder}/*"')
    return _image_files(sorted(images, key=natural_key), load_image, name=folder.resolve().name)


def _matches(pattern: str, load_image: Callable | None) -> list[FrameSource]:
    anchor = Path(pattern).anchor
    relative = pattern[len(anchor):] if anchor else pattern
    paths = sorted((path for path in Path(anchor or '.').glob(relative) if not path.name.startswith('.')),
                   key=natural_key)
    if not paths:
        raise UsageError(f'the pattern "{pattern}" matches no file; correct it')
    if all(_is_image_file(path) for path in paths):
        return [_image_files(paths, load_image, name=paths[0].resolve().parent.name)]
    return [source for path in paths for source in _open(path, load_image)]


def _image_files(files: Sequence[Path], load_image: Callable | None, name: str | None = None) -> ImageFiles:
    for file in files:
        if not file.is_file():
            raise UsageError(f'"{file}" does not exist; correct the path of this image')
    if name is not None:
        return ImageFiles(files, name, load_image)
    if len(files) > 1:
        return ImageFiles(files, files[0].resolve().parent.name, load_image)
    source = ImageFiles(files, files[0].stem, load_image)
    source.is_image = True
    return source


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _load_frame(path: str) -> np.ndarray:
    return LoadFrameFromFile()(dict(img_path=path))['img']


def _numbered(decoded: Iterator[tuple[int, np.ndarray | str, int]],
              path: str) -> Iterator[Frame | SkippedFrame]:
    for index, content, count in decoded:
        if isinstance(content, str):
            yield SkippedFrame(index, path, content, count)
        else:
            yield Frame(index, f'{index:08d}', content)
