# Copyright (c) The mmvc contributors. All rights reserved.
"""Sharing models: as a folder, or through the Hugging Face Hub by its client ``huggingface_hub``."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mmengine.config import Config
from torch import Tensor

from mmvc.utils import safetensors_files
from mmvc.utils.atomic import atomic_write
from mmvc.utils.choices import CARD_NAME, SHARED_WEIGHTS, TORCH
from mmvc.utils.errors import UsageError
from mmvc.utils.hub_client import brief_retries, is_client_error, is_unreachable
from mmvc.utils.type_names import type_name

from .loading import chosen_weights, load_model
from .model_card import check_license, model_card
from .sharing import shared_meta, shared_weights

_ID = re.compile(r'[\w.-]+(/[\w.-]+)?', re.ASCII)
Inferencer = TypeVar('Inferencer', bound='SharedModel')


class SharedModel:
    """Gives an inferencer ``save_pretrained``, ``push_to_hub`` and ``from_pretrained``.

    The names and arguments are those of ``huggingface_hub.ModelHubMixin``. It is not the base class here, because it
    stores the arguments of ``__init__``, which are paths of this machine, and overwrites the model card of a
    repository.
    """

    cfg: Config
    task: str
    backend: str
    dataset_meta: dict[str, Any]
    _arguments: dict[str, Any]  # of load_model()

    def save_pretrained(self, save_directory: str | Path, *, license: str | None = None,
                        repo_id: str | None = None) -> Path:
        """Write the model to a folder: ``model.safetensors`` and a model card, ``README.md``.

        The file of weights holds the config (without what is private, see :func:`portable_config`), the classes and
        their colours, so it runs without the card. An existing card is kept.

        Args:
            save_directory (str | Path): Folder; created if missing.
            license (str, optional): Identifier of the licence of the weights for the card, such as ``'apache-2.0'``.
                Defaults to None: the card says that none is stated.
            repo_id (str, optional): Name on the hub, for the examples of the card. Defaults to None: the folder.

        Returns:
            Path: The folder.

        Raises:
            UsageError: The weights are random, the config cannot be stored, or ``license`` is no identifier.
        """
        check_license(license)
        folder = Path(save_directory)
        weights, meta = self._content_to_share()
        folder.mkdir(parents=True, exist_ok=True)
        safetensors_files.save(folder / SHARED_WEIGHTS, weights, meta)
        if not (folder / CARD_NAME).exists():
            atomic_write(folder / CARD_NAME, self._card(weights, license, repo_id or str(save_directory)))
        return folder

    def push_to_hub(self, repo_id: str, *, license: str | None = None, private: bool | None = None,
                    token: str | bool | None = None, revision: str | None = None, create_pr: bool = False,
                    commit_message: str = 'Share a model of mmvc') -> str:
        """Upload the model to the Hugging Face Hub, see :meth:`save_pretrained`. A card that is there is kept.

        Args:
            repo_id (str): Repository, ``'user/name'``; created if missing.
            license (str, optional): Identifier of the licence of the weights. Defaults to None: not stated.
            private (bool, optional): Whether a new repository is private. Defaults to None: as the account says.
            token (str | bool, optional): Token with the right to write. Defaults to None: that of ``hf auth login``
                or of the variable ``HF_TOKEN``.
            revision (str, optional): Branch; must exist. Defaults to None: the main one.
            create_pr (bool): Whether to open a pull request instead of writing to the branch. Defaults to False.
            commit_message (str): First line of the commit.

        Returns:
            str: Address of the commit, or of the pull request.

        Raises:
            UsageError: The hub refuses the upload, or as :meth:`save_pretrained`.
        """
        check_license(license)
        from huggingface_hub import HfApi  # slow to import, and most models are files
        api = HfApi(token=token, library_name='mmvc')
        weights, meta = self._content_to_share()
        with tempfile.TemporaryDirectory(prefix='mmvc-share-') as folder, _explained(f'"{repo_id}"', 'upload to'):
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id  # with the user's name
            safetensors_files.save(Path(folder, SHARED_WEIGHTS), weights, meta)
            if not api.file_exists(repo_id, CARD_NAME, revision=revision):
                Path(folder, CARD_NAME).write_bytes(self._card(weights, license, repo_id))
            commit = api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision, create_pr=create_pr,
                                       commit_message=commit_message)
        return commit.pr_url or commit.commit_url

    @classmethod
    def from_pretrained(cls: type[Inferencer], name: str | Path, *, revision: str | None = None,
                        token: str | bool | None = None, cache_dir: str | Path | None = None,
                        force_download: bool = False, local_files_only: bool = False, **kwargs: Any) -> Inferencer:
        """Load a shared model from a folder or from the Hugging Face Hub.

        Args:
            name (str | Path): Folder of :meth:`save_pretrained`, or a repository ``'user/name'``. A folder is
                preferred.
            revision (str, optional): Branch, tag or commit of the repository. A commit pins the exact files. Defaults
                to None: the main branch.
            token (str | bool, optional): Token, for private repositories. Defaults to None: that of the machine.
            cache_dir (str | Path, optional): Folder of downloads. Defaults to None: that of the client (``HF_HOME``).
            force_download (bool): Whether to download again what is in the cache. Defaults to False.
            local_files_only (bool): Whether to use the cache only, without network. Defaults to False.
            **kwargs: As for :class:`VideoSegInferencer`, except ``weights``.

        Returns:
            VideoSegInferencer: The inferencer.

        Raises:
            UsageError: There is no such folder or repository, it has no ``model.safetensors``, the hub cannot be
                reached, or the model cannot be loaded.
        """
        if 'weights' in kwargs:
            raise UsageError('from_pretrained() takes no weights: they are those of the folder or the repository')
        if os.path.isdir(name):
            path = os.path.join(name, SHARED_WEIGHTS)
            if not os.path.isfile(path):
                raise UsageError(f'"{name}" has no file {SHARED_WEIGHTS}: save_pretrained() writes one. Other '
                                 'checkpoints are given as weights to VideoSegInferencer')
        elif isinstance(name, Path) or not _ID.fullmatch(name):
            raise UsageError(f'"{name}" is no folder, and no repository of the hub (user/name)')
        elif '/' not in name:
            raise UsageError(f'there is no folder "{name}": correct its path; a repository of the hub is given as '
                             f'user/{name}')
        else:
            from huggingface_hub import hf_hub_download
            with _explained(f'"{name}"', f'get {SHARED_WEIGHTS} of', revision):
                path = hf_hub_download(name, SHARED_WEIGHTS, revision=revision, token=token, cache_dir=cache_dir,
                                       force_download=force_download, local_files_only=local_files_only,
                                       library_name='mmvc')
        return cls(weights=path, **kwargs)  # type: ignore[call-arg]

    def _card(self, weights: dict[str, Tensor], license: str | None, source: str) -> bytes:
        parameters = sum(value.numel() for value in weights.values() if value.is_floating_point())
        return model_card(self.task, type_name(self.cfg.model), self.dataset_meta['classes'], parameters, license,
                          source).encode()

    def _content_to_share(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and metadata of the file.

        The model is read again, because that of an inferencer was changed for speed.
        """
        if self.backend != TORCH:
            raise UsageError('an exported graph is shared as it is, with its description (.onnx and .onnx.json); give '
                             'the config and the checkpoint to share the model')
        if not chosen_weights(**self._arguments) and not self.cfg.get('load_from'):
            raise UsageError('the weights of this model are random: give it a checkpoint (weights) before sharing it')
        model, cfg, meta = load_model(**self._arguments)
        shared = shared_meta(cfg, dict(meta=dict(dataset_meta=meta)), model)
        if shared.obstacle is not None:
            raise UsageError(f'the model cannot be shared, because {shared.obstacle}')
        return shared_weights(model, model.state_dict()), shared.meta


@contextmanager
def _explained(repository: str, action: str, revision: str | None = None) -> Iterator[None]:
    """Turn the errors of the client in the block into one line with a remedy."""
    from huggingface_hub import errors
    try:
        with brief_retries():
            yield
    except UsageError:
        raise
    except Exception as raised:
        error = raised
        while isinstance(error, ValueError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # "download failed due to the above error"
        if not is_client_error(error) and not isinstance(error, (OSError, RuntimeError, ValueError)):
            raise
        status = getattr(getattr(error, 'response', None), 'status_code', None)
        if isinstance(error, errors.GatedRepoError):
            reason = 'its owner gives access on request: ask on its page, then log in (hf auth login)'
        elif isinstance(error, errors.RevisionNotFoundError):
            reason = f'it has no branch, tag or commit "{revision}"'
        elif isinstance(error, errors.RepositoryNotFoundError):
            reason = 'there is no such repository, or it is private: check the name, or log in (hf auth login)'
        elif isinstance(error, errors.LocalEntryNotFoundError):
            reason = ('it is not in the cache, and the hub cannot be reached: check the connection, HF_HUB_OFFLINE '
                      'and HF_ENDPOINT')
        elif is_unreachable(error):
            reason = (f'the hub cannot be reached ({" ".join(str(error).split())[:200]}): check the connection and '
                      'HF_ENDPOINT')
        elif isinstance(error, errors.EntryNotFoundError):
            reason = (f'it has no file {SHARED_WEIGHTS}, so it was not shared by push_to_hub(). Download the '
                      'checkpoint that it has, and give that as weights')
        elif isinstance(error, errors.LocalTokenNotFoundError) or status in (401, 403):
            reason = 'you may not do so: log in with a token that has the right (hf auth login)'
        else:
            reason = ' '.join(str(error).split())[:300] or type(error).__name__
        raise UsageError(f'cannot {action} {repository}: {reason}') from raised
