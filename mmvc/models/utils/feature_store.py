# Copyright (c) The mmvc contributors. All rights reserved.
import tempfile
import weakref
from collections.abc import Iterator
from functools import cached_property
from io import FileIO
from typing import Optional

import torch
from torch import Tensor


class FeatureStore:
    """A growing sequence of equally shaped tensors: in memory up to a limit, on disk beyond it.

    It keeps what the second pass over a video needs: at 480 x 864, 26.5 MB of mask features per frame. The file has no
    name in its folder. It disappears with the store, also if the process is killed.

    Args:
        memory_limit (float): Bytes kept in memory, on the device that the tensors come from. 0 puts all of them on
            disk. Defaults to 1 GiB.
        dtype (str, optional): ``'float16'`` or ``'bfloat16'`` to store floating-point tensors in half the space, at
            lower precision. Defaults to None: their own dtype.
        folder (str, optional): Folder of the file. Defaults to None: the system's temporary one.
        share_limit_with (FeatureStore, optional): Store with which this one shares a memory limit: both together stay
            within it. Its limit and folder replace ``memory_limit`` and ``folder``. Defaults to None.

    Raises:
        ValueError: ``memory_limit`` is negative, or ``dtype`` is unknown.

    Example:
        >>> store = FeatureStore(memory_limit=100)
        >>> store.extend(torch.ones(2, 3))
        >>> store.extend(torch.zeros(30, 3))  # on disk
        >>> len(store), store[0], store[31]
        (32, tensor([1., 1., 1.]), tensor([0., 0., 0.]))
    """

    DTYPES = {None: None, 'float16': torch.float16, 'bfloat16': torch.bfloat16}

    def __init__(self,
                 memory_limit: float = 2**30,
                 dtype: str | None = None,
                 folder: str | None = None,
                 share_limit_with: Optional['FeatureStore'] = None) -> None:
        self.bytes_in_memory = 0
        self.bytes_on_disk = 0
        self._budget: _Budget = _Budget() if share_limit_with is None else share_limit_with._budget
        if share_limit_with is not None:
            memory_limit, folder = share_limit_with.memory_limit, share_limit_with.folder
        if not memory_limit >= 0:  # also refuses NaN
            raise ValueError(f'memory_limit of FeatureStore is a number of bytes, at least 0; got {memory_limit}')
        if dtype not in self.DTYPES:
            raise ValueError(f'dtype of FeatureStore is one of {list(self.DTYPES)}, got {dtype!r}')
        self.memory_limit: float = memory_limit
        self.dtype = self.DTYPES[dtype]
        self.folder: str | None = folder
        self._items: list[Tensor | int] = []  # a tensor, or its place in the file
        self._template: Tensor

    def extend(self, tensors: Tensor) -> None:
        """Append tensors.

        Args:
            tensors (Tensor): Stacked along the first axis, shape (n, ...). The store may keep this tensor itself: do
                not write to it afterwards.

        Raises:
            ValueError: The shape differs from that of the tensors before.
            OSError: The disk is full.
        """
        tensors = tensors.detach()
        if self.dtype is not None and tensors.is_floating_point():
            tensors = tensors.to(self.dtype)
        if not self._items:
            self._template = tensors.new_empty(0, *tensors.shape[1:])
        if tensors.shape[1:] != self._template.shape[1:] or tensors.dtype != self._template.dtype:
            raise ValueError(f'FeatureStore holds tensors of {tuple(self._template.shape[1:])}, '
                             f'{self._template.dtype}, and got {tuple(tensors.shape[1:])}, {tensors.dtype}: all '
                             'frames of a video must have the same size')
        num_bytes = tensors.numel() * tensors.element_size()
        if self._budget.used + num_bytes <= self.memory_limit:
            self._budget.used += num_bytes
            self.bytes_in_memory += num_bytes
            self._items.extend(tensors)
            return
        for tensor in tensors:
            self._items.append(self.bytes_on_disk)
            self._write(tensor)

    @cached_property
    def _file(self) -> FileIO:
        file = tempfile.TemporaryFile(dir=self.folder, buffering=0)
        weakref.finalize(self, file.close)
        return file

    def _write(self, tensor: Tensor) -> None:
        content = as_bytes(tensor.cpu().contiguous())
        try:
            self._file.seek(self.bytes_on_disk)
            while content:  # a call writes at most 2 GiB
                content = content[self._file.write(content):]
        except OSError as error:
            folder = self.folder or tempfile.gettempdir()
            raise OSError(error.errno, f'{error.strerror}: features take {self.bytes_on_disk / 2**30:.1f} GiB in '
                          f'"{folder}"; set model.feature_store.folder to a larger disk, or model.feature_store.dtype '
                          "to 'float16'") from error
        self.bytes_on_disk += tensor.numel() * tensor.element_size()

    def __del__(self) -> None:
        if hasattr(self, '_budget'):  # not set if an argument was invalid
            self._budget.used -= self.bytes_in_memory  # stores with the same limit may use it now

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Tensor:
        """Return the ``index``-th tensor, on the device it came from."""
        item = self._items[index]
        if isinstance(item, Tensor):
            return item
        tensor = torch.empty(self._template.shape[1:], dtype=self._template.dtype)
        content = as_bytes(tensor)
        self._file.seek(item)
        while content:
            content = content[self._file.readinto(content):]
        return tensor.to(self._template.device)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))


class _Budget:
    """Bytes in memory of all stores that share a limit."""

    def __init__(self) -> None:
        self.used = 0


def as_bytes(tensor: Tensor) -> memoryview:
    """View a contiguous CPU tensor as writable bytes; goes through uint8, since numpy has no bfloat16."""
    return tensor.view(-1).view(torch.uint8).numpy().data
