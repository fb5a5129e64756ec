# Copyright (c) The mmvc contributors. All rights reserved.
"""Records of finished videos, by which a run that is repeated knows what it need not do again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path
from mmvc.version import __version__

from .writer import VideoInfo, Writer

#: folder of the records, below that of the outputs
RECORDS = '.mmvc'
_VERSION = 1


class RunRecords:
    """Records of the videos whose outputs in a folder are complete: ``.mmvc/<video>.json``.

    A video is *finished* if a record of its name says all of the following. Its source is the same: the files have the
    same names, sizes and times of change. All settings that can change an output are the same, and so are the weights,
    the config of the model and the version of this package. Its outputs in all wanted formats are still there, with
    the number of files and bytes that they had. Only videos from files have a record; arrays, addresses, pipes and
    cameras have none.

    Args:
        folder (Path): Output folder.
        settings (Mapping[str, Any]): All settings that can change an output, as plain data.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = json.loads(json.dumps(dict(settings, version=__version__)))

    def find(self, video: VideoInfo, inputs: Iterable[Path], writers: Mapping[str, Writer]) -> dict | str | None:
        """Look for the record of a video.

        Args:
            video (VideoInfo): The video.
            inputs (Iterable[Path]): Its files.
            writers (Mapping[str, Writer]): Writer by wanted format.

        Returns:
            dict | str | None: What :meth:`write` was given as ``result``, if the video is finished. A text says why
            it is not, although there is a record. None: there is no record.
        """
        record = self._read(video)
        if record is None:
            return None
        reason = self._difference(record, video, inputs, writers)
        if reason is not None:
            return reason
        for name, writer in writers.items():
            if record['outputs'][name]['entry'] is not None:
                writer.restore(video, record['outputs'][name]['entry'])
        return record['result']

    def forget(self, video: VideoInfo) -> None:
        """Remove the record of a video. Call it before its outputs are replaced."""
        self._path(video).unlink(missing_ok=True)

    def write(self, video: VideoInfo, inputs: Iterable[Path], writers: Mapping[str, Writer], result: Any) -> None:
        """Record that the outputs of a video are complete.

        Args:
            video (VideoInfo): The video.
            inputs (Iterable[Path]): Its files; without any, nothing is recorded.
            writers (Mapping[str, Writer]): Writer by format.
            result (Any): Plain data to keep.
        """
        source = _identity(inputs)
        if source is None:
            return
        outputs = {name: dict(size=_footprint(writer.target(video)), entry=writer.entry(video))
                   for name, writer in writers.items()}
        record = dict(record=_VERSION, source=source, settings=self._settings, outputs=outputs, result=result)
        atomic_write(self._path(video), json.dumps(record).encode())

    def _difference(self, record: dict, video: VideoInfo, inputs: Iterable[Path],
                    writers: Mapping[str, Writer]) -> str | None:
        if record['source'] != _identity(inputs):
            return 'its source has changed'
        before = record['settings']
        changed = sorted(key for key in before.keys() | self._settings.keys()
                         if key not in before or key not in self._settings or before[key] != self._settings[key])
        if changed:
            return f'other settings: {", ".join(changed)}'
        for name, writer in writers.items():
            output = record['outputs'].get(name)
            if output is None:
                return f'the format {name} is missing'
            # a file for several videos is written again from their entries
            if output['entry'] is None and output['size'] != _footprint(writer.target(video)):
                return f'its output "{writer.target(video)}" has changed'
        return None

    def _read(self, video: VideoInfo) -> dict | None:
        try:
            record = json.loads(self._path(video).read_bytes())
            return record if record['record'] == _VERSION and {'source', 'settings', 'outputs', 'result'} <= \
                record.keys() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # none, or a damaged one

    def _path(self, video: VideoInfo) -> Path:
        return output_path(self._folder, RECORDS, video.name, suffix='.json')


def digest(model: nn.Module, *parts: Any) -> str:
    """Compute a digest of a model's weights and of its settings.

    Args:
        model (nn.Module): The model.
        *parts (Any): Configs and numbers.

    Returns:
        str: 32 hexadecimal digits.
    """
    code = hashlib.blake2b(json.dumps(parts, sort_keys=True, default=repr).encode(), digest_size=16)
    for name, value in model.state_dict().items():
        code.update(name.encode())
        if isinstance(value, torch.Tensor):
            code.update(f'{value.dtype}{tuple(value.shape)}'.encode())
            code.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return code.hexdigest()


def _identity(inputs: Iterable[Path]) -> str | None:
    """Digest of the names, sizes and times of files; None if there are none, or one is missing."""
    code = hashlib.blake2b(digest_size=16)
    paths = list(inputs)
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            return None
        code.update(f'{path.name}\n{status.st_size}\n{status.st_mtime_ns}\n'.encode('utf-8', 'surrogateescape'))
    return code.hexdigest() if paths else None


def _footprint(output: Path) -> list[int]:
    """Number of files and bytes of an output; [0, 0] if it is missing."""
    files = [path for path in output.rglob('*') if path.is_file()] if output.is_dir() else [output]
    try:
        return [len(files), sum(path.stat().st_size for path in files)]
    except OSError:
        return [0, 0]
