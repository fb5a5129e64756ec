# Copyright (c) The mmvc contributors. All rights reserved.
"""Files of the Hugging Face hub, by way of ``huggingface_hub``: its cache, its environment variables, its token."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from mmvc.utils.checksums import fits_checksum
from mmvc.utils.errors import CheckpointError
from mmvc.utils.hub_client import brief_retries, is_client_error, is_unreachable

from .addresses import HubFile

_SHA256 = re.compile(r'[0-9a-f]{64}')


def fetch_hub_file(file: HubFile, label: str) -> Path:
    """Get a file of the hub: from the cache, or else by a download, which goes on if the connection breaks.

    ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN`` and the token of ``hf auth login``
    have their usual meaning.

    Args:
        file (HubFile): The file. Its name may be a pattern, see :func:`find_hub_file`.
        label (str): What it is, in messages.

    Returns:
        Path: Path in the cache.

    Raises:
        CheckpointError: It cannot be had. The message says why, and what to do.
        OSError: The disk is full, or the cache cannot be written.
    """
    from huggingface_hub import hf_hub_download  # slow to import, and most weights are files
    file = find_hub_file(file, label)
    with _explained(file, label):
        return Path(hf_hub_download(file.repo, file.file, revision=file.revision, library_name='mmvc'))


def find_hub_file(file: HubFile, label: str) -> HubFile:
    """Complete the name of a file of which only a pattern is known, from the cache or the list of the repository.

    Args:
        file (HubFile): A file, or a pattern.
        label (str): What it is, in messages.

    Returns:
        HubFile: The file whose name fits; the same if it is no pattern.

    Raises:
        CheckpointError: None fits, several fit, or the repository cannot be read.
    """
    if not file.is_pattern:
        return file
    found = _in_cache(file)
    if len(found) != 1:
        from huggingface_hub import HfApi
        with _explained(file, label):
            tree = HfApi(library_name='mmvc').list_repo_tree(
                file.repo, str(PurePosixPath(file.file).parent), revision=file.revision)
            names = [entry.path for entry in tree]
        found = [name for name in names if fnmatchcase(name, file.file)]
        if len(found) != 1:
            listed = ', '.join(PurePosixPath(name).name for name in (found or names)[:20])
            raise CheckpointError(f'{label}: {len(found)} files of {file.repo}, revision {file.revision}, fit '
                                  f'"{file.file}". Give the right one as hf://{file.repo}@{file.revision}/FILE; there '
                                  f'are {listed or "none"}')
    return replace(file, file=found[0])


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids downloads."""
    from huggingface_hub import constants
    return bool(constants.HF_HUB_OFFLINE)


def content_is_intact(path: Path) -> bool:
    """Whether a file of the cache has the SHA-256 by which the hub knows it; True if it knows it by something else."""
    if not path.is_symlink():
        return True
    blob = PurePosixPath(os.readlink(path)).name
    return _SHA256.fullmatch(blob) is None or fits_checksum(path, f'sha256:{blob}')


def _in_cache(file: HubFile) -> list[str]:
    """Names of files in the cache that fit a pattern; of a revision that can change only if the hub is not asked."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name
    repo = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=file.repo, repo_type='model'))
    commit, ref = file.revision, repo / 'refs' / file.revision
    if not file.is_pinned:
        if not is_offline() or not ref.is_file():
            return []
        commit = ref.read_text().strip()
    snapshot = repo / 'snapshots' / commit
    folder, pattern = snapshot / PurePosixPath(file.file).parent, PurePosixPath(file.file).name
    if not folder.is_dir():
        return []
    return [path.relative_to(snapshot).as_posix() for path in folder.iterdir() if fnmatchcase(path.name, pattern)]


@contextmanager
def _explained(file: HubFile, label: str) -> Iterator[None]:
    """Turn an error of huggingface_hub into one line that names the file and the remedy."""
    from huggingface_hub import constants, errors
    by_hand = f'hf download {file.repo} "{file.file}" --revision {file.revision}'
    if file.is_pattern:
        by_hand = f'hf download {file.repo} --include "{file.file}" --revision {file.revision}'
    unreachable = f'{label}: {file} is not in the cache, and {constants.ENDPOINT} cannot be reached'
    remedy = ('. Check the connection (a proxy: HTTPS_PROXY, a mirror: HF_ENDPOINT), or fill the cache on a machine '
              f'that has one: {by_hand}')
    try:
        with brief_retries():
            yield
    except errors.GatedRepoError as error:
        raise CheckpointError(f'{label}: {file} is given only to users who have accepted its licence. Open '
                              f'https://huggingface.co/{file.repo}, accept it, and log in on this machine with '
                              '"hf auth login" (or set HF_TOKEN)') from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(f'{label}: there is no repository "{file.repo}" at {constants.ENDPOINT}, or it is '
                              'private. Check the name; for a private one, log in with "hf auth login" (or set '
                              'HF_TOKEN)') from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f'{label}: the repository {file.repo} has no revision "{file.revision}". Check it at '
                              f'https://huggingface.co/{file.repo}/commits/main') from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        if constants.HF_HUB_OFFLINE:
            raise CheckpointError(f'{label}: {file} is not in the cache "{constants.HF_HUB_CACHE}", and '
                                  'HF_HUB_OFFLINE forbids a download. Unset it, or fill the cache first: '
                                  f'{by_hand}') from error
        raise CheckpointError(unreachable + _cause(error) + remedy) from error
    except errors.EntryNotFoundError as error:
        raise CheckpointError(f'{label}: the repository {file.repo}, revision {file.revision}, has no file '
                              f'"{file.file}". See https://huggingface.co/{file.repo}/tree/{file.revision}') from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, 'status_code', '')
        raise CheckpointError(f'{label}: {constants.ENDPOINT} answers {status} for {file}'
                              f'{_cause(error, of_error=True)}. Try again later, or fill the cache in another way: '
                              f'{by_hand}') from error
    except ValueError as error:  # a name that the client refuses, or an answer that is not of a hub
        raise CheckpointError(f'{label}: {file} cannot be had from {constants.ENDPOINT} ({_first_line(error)}). Check '
                              'the address, and HF_ENDPOINT if it is set') from error
    except Exception as error:
        # the client of Xet raises RuntimeError
        is_network = isinstance(error, RuntimeError) or is_client_error(error)
        is_incomplete = isinstance(error, OSError) and 'Consistency check failed' in str(error)
        if not (is_network or is_incomplete):
            raise
        if is_unreachable(error):
            raise CheckpointError(unreachable + _cause(error, of_error=True) + remedy) from error
        raise CheckpointError(f'{label}: the download of {file} broke off several times ({_first_line(error)}). Check '
                              f'the connection and start it again, or fill the cache in another way: {by_hand}'
                              ) from error


def _cause(error: BaseException, of_error: bool = False) -> str:
    """The first line of what caused an error, in brackets; empty if nothing did."""
    cause = error if of_error else (error.__cause__ or error.__context__)
    return '' if cause is None else f' ({_first_line(cause)})'


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
