# Copyright (c) The mmvc contributors. All rights reserved.
import hashlib
import json
import logging
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.logging import print_log
from torch import Tensor, nn

from mmvc.utils.atomic import atomic_path, atomic_write
from mmvc.utils.checkpoint_loading import failure_reason
from mmvc.utils.errors import UsageError

from .feature_store import FeatureStore, as_bytes

Features = dict[str, Tensor]


class SegmenterCache:
    """A disk cache for the output of a frozen segmenter: each frame is segmented once in a whole training.

    Encoder-only models cache their frozen encoder in the same way. It is for trainings without augmentation. The key
    of an entry is a digest of the frame's pixels; a flipped frame has an entry of its own. Masked clips are random and
    bypass the cache. A folder belongs to one segmenter: ``segmenter.json`` holds a digest of its weights, and each
    process recomputes and compares the first entry that it finds. Processes share a folder, and so do stages 2 and 3,
    whose segmenter is the same.

    A frame of 480 x 864 takes 27 MB, most of it mask features at a quarter of the size (256 channels).

    Args:
        folder (str): Folder of the entries; made if missing.
        min_free_gb (float): Space to leave on its disk, in GB; with less, no frames are added. Defaults to 10.
        dtype (str, optional): ``'float16'`` or ``'bfloat16'`` to store features in half the space, at lower precision.
            Defaults to None: their own dtype; losses are then the same as without cache.
        setting (str): Name of the model's setting that holds these arguments, for messages. Defaults to
            ``'segmenter_cache'``.
        part (str): Name of what is frozen, for messages. Defaults to ``'segmenter'``.

    Raises:
        ValueError: ``dtype`` is unknown.
    """

    MAX_FORMS = 2  # of a frame: plain and flipped

    def __init__(self,
                 folder: str,
                 min_free_gb: float = 10,
                 dtype: str | None = None,
                 setting: str = 'segmenter_cache',
                 part: str = 'segmenter') -> None:
        if dtype not in FeatureStore.DTYPES:
            raise ValueError(f'{setting}: dtype is one of {list(FeatureStore.DTYPES)}, got {dtype!r}')
        self.setting = setting
        self.part = part
        self.folder = Path(folder)
        self.min_free_gb = min_free_gb
        self.dtype = FeatureStore.DTYPES[dtype]
        self.hits = 0
        self.misses = 0
        self._versions: tuple[int, ...] = ()  # of the weights that the folder was compared with
        self._is_checked = False  # whether an entry was compared with the segmenter's output
        self._is_full = False
        self._forms: dict[str, set] = {}

    @torch.no_grad()
    def __call__(self, inputs: Tensor, data_samples: Sequence[TrackDataSample], parts: Sequence[nn.Module],
                 segment: Callable[[Tensor], Features]) -> Features:
        """Take the segmentation of each frame of clips from the cache, or compute it.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their samples.
            parts (Sequence[nn.Module]): Modules of the segmenter, in evaluation mode.
            segment (Callable): The segmenter: clips (b, t, 3, H, W) to a dict of tensors (b, t, ...).

        Returns:
            dict[str, Tensor]: The same as ``segment(inputs)``, without gradients.

        Raises:
            UsageError: The folder belongs to another segmenter, or the frames are augmented at random.
        """
        samples = [frame for sample in data_samples for frame in sample]
        if any(_is_masked(frame) for frame in samples):
            return segment(inputs)
        self._check_weights(parts)
        frames = inputs.flatten(0, 1)
        paths = [self._path(pixels, frame) for pixels, frame in zip(frames, samples)]
        loaded = ((index, self._load(path, frames.device)) for index, path in enumerate(paths))
        entries = {index: entry for index, entry in loaded if entry is not None}
        if entries and not self._is_checked:
            first = min(entries)
            self._check_entry(entries[first], segment(frames[None, first:first + 1]), paths[first])
        self.hits += len(entries)
        missing = [index for index in range(len(paths)) if index not in entries]
        self.misses += len(missing)
        if missing:
            computed = segment(frames[missing][None])
            for position, index in enumerate(missing):
                entries[index] = {name: value[0, position] for name, value in computed.items()}
                self._save(paths[index], entries[index])
        return {
            name: torch.stack([entries[index][name] for index in range(len(paths))]).unflatten(0, inputs.shape[:2])
            for name in entries[0]
        }

    def _check_weights(self, parts: Sequence[nn.Module]) -> None:
        """Compare the segmenter's weights with those of the folder."""
        tensors = [(f'{i}.{name}', value) for i, part in enumerate(parts) for name, value in part.state_dict().items()]
        versions = tuple(value._version for _, value in tensors)  # each counts the writes to a tensor
        if versions == self._versions:
            return
        digest = hashlib.blake2b(digest_size=16)
        for name, value in tensors:
            digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
            digest.update(_bytes_of(value))
        weights = digest.hexdigest()
        manifest = self.folder / 'segmenter.json'
        if not manifest.exists():
            atomic_write(manifest, json.dumps(dict(weights=weights)).encode(), sync=False)
        if json.loads(manifest.read_text()).get('weights') != weights:
            raise UsageError(f'{self.setting}: "{self.folder}" holds features of other weights than this {self.part} '
                             'has (was it trained again?): delete the folder, or set another one')
        self._versions, self._is_checked = versions, False

    def _path(self, pixels: Tensor, frame: DetDataSample) -> Path:
        """File of a padded frame (3, H, W)."""
        height, width = frame.img_shape[:2]
        content = hashlib.blake2b(_bytes_of(pixels[:, :height, :width]), digest_size=16).hexdigest()
        forms = self._forms.setdefault(frame.metainfo.get('img_path', content), set())
        forms.add(content)
        if len(forms) > self.MAX_FORMS:
            raise UsageError(f'{self.setting}: frame "{frame.img_path}" has come in {len(forms)} forms. Frames with '
                             'random augmentation hardly ever repeat, so a cache is of no use: remove random crops, '
                             f'resizes and colours from train_pipeline, or {self.setting} from the model')
        padded = 'x'.join(map(str, pixels.shape[-2:]))
        return self.folder / content[:2] / f'{content[2:]}_{padded}.pth'

    def _load(self, path: Path, device: torch.device) -> Features | None:
        """Read an entry; None if it is missing or damaged."""
        try:
            entry = torch.load(path, map_location=device, weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            print_log(f'{self.setting}: "{path}" is damaged and will be replaced ({failure_reason(error)})',
                      logger='current', level=logging.WARNING)
            return None
        return {name: value.to(dtype) for name, (value, dtype) in entry.items()}

    def _save(self, path: Path, entry: Features) -> None:
        """Add an entry, unless the disk is nearly full."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < self.min_free_gb * 1e9:
            if not self._is_full:
                print_log(f'{self.setting}: the disk of "{self.folder}" has less than {self.min_free_gb} GB left. '
                          'No frames are added; those that are missing will be computed in every epoch',
                          logger='current', level=logging.WARNING)
            self._is_full = True
            return
        stored = {
            name: (value.to(self.dtype if self.dtype and value.is_floating_point() else value.dtype).clone(),
                   value.dtype)
            for name, value in entry.items()
        }
        with atomic_path(path) as draft:
            torch.save(stored, draft)

    def _check_entry(self, entry: Features, computed: Features, path: Path) -> None:
        """Compare an entry with the segmenter's output for its frame."""
        tolerance = 1e-3 if self.dtype is None else 2e-2
        for name, value in computed.items():
            expected = value[0, 0]
            if name not in entry or entry[name].shape != expected.shape or entry[name].dtype != expected.dtype or (
                    entry[name] - expected).float().norm() > tolerance * expected.float().norm():
                raise UsageError(f'{self.setting}: {name} in "{path}" differs from the output of the {self.part}, '
                                 'whose config or precision (AMP) must have changed: delete the folder '
                                 f'"{self.folder}", or set another one')
        self._is_checked = True


def _is_masked(frame: DetDataSample) -> bool:
    """Whether patches of a frame are hidden, or will be in the masked pass."""
    mask = frame.metainfo.get('patch_mask')
    return mask is not None and bool(mask.any())


def _bytes_of(tensor: Tensor) -> memoryview:
    return as_bytes(tensor.detach().cpu().contiguous())
