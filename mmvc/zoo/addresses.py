# Copyright (c) The mmvc contributors. All rights reserved.
"""Addresses of weights: files of repositories on the Hugging Face hub, and other files by https."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from mmvc.utils.errors import UsageError
from mmvc.utils.names import find_name_fault

HUB_SCHEME = 'hf://'
_HUB_HOSTS = ('huggingface.co', 'www.huggingface.co', 'hf.co')
_COMMIT = re.compile(r'[0-9a-f]{40}')
_PART = re.compile(r'[\w.-]{1,96}', re.ASCII)
_REVISION = re.compile(r'[\w./-]{1,200}', re.ASCII)


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the hub.

    Attributes:
        repo (str): Repository, ``user/name``.
        file (str): Path in it. ``*`` and ``?`` stand for the parts of a name that are not known.
        revision (str): Branch, tag or commit.
    """

    repo: str
    file: str
    revision: str = 'main'

    def __str__(self) -> str:
        return f'{HUB_SCHEME}{self.repo}@{self.revision}/{self.file}'

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which cannot change."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def is_pattern(self) -> bool:
        """Whether the name of the file is not completely known."""
        return '*' in self.file or '?' in self.file


def is_address(name: str) -> bool:
    """Whether a name is an address (``https://...``, ``hf://...``) and not a path."""
    return re.match(r'[A-Za-z][\w+.-]*://', name) is not None


def parse_hub_address(address: str) -> HubFile | None:
    """Read the address of a file on the hub.

    Args:
        address (str): ``hf://user/repo/file``, with a revision as ``hf://user/repo@revision/file`` or
            ``hf://user/repo/file@revision``; or the address of the file in a browser.

    Returns:
        HubFile | None: The file; None if the address is not one of the hub.

    Raises:
        UsageError: It is one of the hub, but does not name a file.
    """
    if address.startswith(HUB_SCHEME):
        found = _parse_short(address[len(HUB_SCHEME):])
    else:
        parts = urlsplit(address)
        path = unquote(parts.path).strip('/').split('/')
        if parts.hostname not in _HUB_HOSTS or len(path) < 3 or path[0] in ('datasets', 'spaces', 'api'):
            return None
        if len(path) < 5 or path[2] not in ('resolve', 'blob', 'raw'):
            raise UsageError(f'"{address}" is a page of a repository, not one of its files: give '
                             f'{HUB_SCHEME}{path[0]}/{path[1]}/FILE')
        found = HubFile('/'.join(path[:2]), '/'.join(path[4:]), path[3])
    fault = None if found is None else find_name_fault(found.file, f'"{address}"')
    if found is None or fault is not None or not all(map(_PART.fullmatch, found.repo.split('/'))) \
            or not _REVISION.fullmatch(found.revision) or '..' in found.revision:
        raise UsageError(f'"{address}" does not name a file of the hub: it must be like '
                         f'{HUB_SCHEME}user/repository/model.safetensors, or with a revision '
                         f'{HUB_SCHEME}user/repository@revision/model.safetensors')
    return found


def _parse_short(text: str) -> HubFile | None:
    user, _, rest = text.partition('/')
    name, _, file = rest.partition('/')
    if not user or not name or not file:
        return None
    if '@' in name:
        name, _, revision = name.partition('@')
        return HubFile(f'{user}/{name}', file, revision)
    if '@' in file:
        file, _, revision = file.rpartition('@')
        return HubFile(f'{user}/{name}', file, revision)
    return HubFile(f'{user}/{name}', file)
