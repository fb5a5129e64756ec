# Copyright (c) The mmvc contributors. All rights reserved.
"""One training, alone or one of several: what its work dir holds, and what it was made of.

A stage counts as finished once its marker file ``finished.json`` names a checkpoint that is there and intact. The
marker also says of which settings and of which first weights the stage was made.
"""

import json
import logging
import os.path as osp
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmvc.utils.atomic import atomic_write, remove_drafts
from mmvc.utils.errors import UsageError
from mmvc.zoo import is_remote

from .checkpoints import content_digest, is_intact_checkpoint, is_training_checkpoint, periodic_checkpoints
from .training_settings import changed_settings, describe_changes, training_settings

MARKER = 'finished.json'
UNKNOWN = 'unknown'


@dataclass
class Stage:
    """One of several trainings, or the only one.

    Args:
        name (str): Name, also of its folder in the work dir; empty for the training of a config without stages.
        cfg (Config): Its config, ready for a runner.
        work_dir (str): Its own work dir.
    """
    name: str
    cfg: Config
    work_dir: str

    @property
    def label(self) -> str:
        """How messages speak of it."""
        return f'stage "{self.name}"' if self.name else 'the training'

    @property
    def option(self) -> str:
        """How the command line names it: `` --stage NAME``, or nothing."""
        return f' --stage {self.name}' if self.name else ''

    @property
    def schedule(self) -> dict[str, int]:
        """Length of the training: ``max_iters`` or ``max_epochs``."""
        train_cfg = self.cfg.get('train_cfg') or {}
        return {key: train_cfg[key] for key in ('max_iters', 'max_epochs') if key in train_cfg}

    def require_training(self) -> None:
        """Raise an error if there is nothing to train."""
        if not self.cfg.get('train_cfg'):
            raise UsageError(f'config "{self.cfg.filename}": {self.label} has no train_cfg, so there is nothing to '
                             'train. Add train_cfg to the config')

    def holds_results(self) -> bool:
        """Whether its work dir has a marker or a checkpoint."""
        return Path(self.work_dir, MARKER).exists() or bool(periodic_checkpoints(self.work_dir))

    def marker(self) -> dict | None:
        """Read the marker, without looking at the checkpoint.

        Returns:
            dict | None: ``checkpoint`` (path), ``iter`` and ``metrics``, or None if there is no marker, it is damaged
            or the stage was trained for another schedule than the config's.
        """
        marker = Path(self.work_dir, MARKER)
        if not marker.exists():
            return None
        try:
            content = json.loads(marker.read_text())
            content['checkpoint'] = osp.normpath(osp.join(self.work_dir, content['checkpoint']))
            for value in (content['schedule'], content['metrics'], content.get('settings', {})):
                dict(value.items())
            int(content['iter'])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            print_log(f'"{marker}" is damaged ({type(error).__name__}: {error}): {self.label} counts as not finished',
                      logger='current', level=logging.WARNING)
            return None
        if content['schedule'] != self.schedule:
            print_log(f'{capitalized(self.label)} was trained for {content["schedule"]}, its config says '
                      f'{self.schedule}: not finished', logger='current', level=logging.WARNING)
            return None
        return content

    def check_made_of(self, start: str | None) -> None:
        """Raise an error if a finished stage was made of something else than it would be now.

        Args:
            start (str, optional): Identity of the checkpoint that it would start from, see :func:`start_of`.

        Raises:
            UsageError: Its config or the checkpoint that it starts from has changed.
        """
        content = self.marker()
        if content is None:
            return
        redo = f'Repeat it with --overwrite{self.option}, choose another --work-dir, or undo the change'
        changes = changed_settings(content['settings'], training_settings(self.cfg)) if 'settings' in content else {}
        if changes:
            raise UsageError(f'{self.label} in "{self.work_dir}" is finished, but its config has changed since: '
                             f'{describe_changes(changes)}. {redo}')
        if 'start' in content and content['start'] != start and UNKNOWN not in (start, content['start']):
            raise UsageError(f'{self.label} in "{self.work_dir}" is finished, but it started from other weights than '
                             f'it would now ({content["start"]} instead of {start}). {redo}')

    def finished(self) -> bool:
        """Whether there is a marker and the final checkpoint that it names is intact."""
        content = self.marker()
        if content is not None and not is_intact_checkpoint(content['checkpoint']):
            print_log(f'{capitalized(self.label)}: its final checkpoint "{content["checkpoint"]}" is missing or '
                      'broken: not finished', logger='current', level=logging.WARNING)
            return False
        return content is not None

    def final_checkpoint(self) -> str:
        """Path of the checkpoint that its marker names.

        Raises:
            UsageError: The stage is not finished.
        """
        content = self.marker()
        if content is None:
            raise UsageError(f'{self.label} is not finished: see "{self.work_dir}"')
        return content['checkpoint']

    def mark_finished(self, checkpoint: str, iteration: int, metrics: dict[str, float], **made_of: Any) -> None:
        """Write the marker. Call it after everything else.

        Args:
            checkpoint (str): Final checkpoint.
            iteration (int): Iteration it was saved at.
            metrics (dict[str, float]): Numbers of the final validation.
            **made_of: ``settings`` (see :func:`training_settings`) and ``start`` (see :func:`start_of`), so that a
                change of them is found.
        """
        content = dict(checkpoint=osp.relpath(checkpoint, self.work_dir), iter=iteration, schedule=self.schedule,
                       metrics=metrics, **made_of)
        atomic_write(Path(self.work_dir, MARKER), json.dumps(content, indent=2).encode())

    def discard_results(self) -> None:
        """Remove marker and checkpoints, but no logs, no files that the user put there, and not ``load_from``.

        The marker goes first, so that the rest never looks finished.
        """
        Path(self.work_dir, MARKER).unlink(missing_ok=True)
        start = self.cfg.get('load_from')
        for path in Path(self.work_dir).glob('*.pth'):
            if not is_training_checkpoint(path.name) or path.is_dir():
                continue
            if not (start and path.exists() and osp.exists(start) and osp.samefile(path, start)):
                path.unlink()
        Path(self.work_dir, 'last_checkpoint').unlink(missing_ok=True)
        for pattern in ('*.pth', 'last_checkpoint'):
            remove_drafts(self.work_dir, pattern)


def start_of(stage: Stage, before: Stage | None) -> str | None:
    """Identify the weights that a stage starts from.

    Args:
        stage (Stage): The stage.
        before (Stage, optional): The one before, or None.

    Returns:
        str | None: Digest of the checkpoint of the stage before, or else of ``load_from``; its address or name if that
        is remote; ``'unknown'`` if the file is gone; None if the weights are random.
    """
    path = stage.cfg.get('load_from')
    if before is not None and before.holds_results():
        content = before.marker()
        path = content['checkpoint'] if content is not None else None
        if path is None:
            return UNKNOWN
    if path is None or is_remote(path):
        return path
    try:
        return content_digest(path)
    except OSError:
        return UNKNOWN


def capitalized(label: str) -> str:
    """The label of a stage at the beginning of a sentence."""
    return label[0].upper() + label[1:]
