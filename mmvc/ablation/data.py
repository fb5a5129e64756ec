# Copyright (c) The mmvc contributors. All rights reserved.
"""The generated videos of a plan."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from mmvc.datasets.synthetic import PRESETS, SyntheticVideoConfig, make_synthetic_dataset
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder

_DATASET_KEYS = ('formats', 'num_train', 'num_val', 'seed', 'jpeg_quality', 'with_objects')


def make_data(data: dict[str, Any] | None) -> None:
    """Generate the videos of a plan, unless they exist.

    Args:
        data (dict, optional): Entry ``data`` of the plan, see :class:`Plan`. With None, nothing is done.

    Raises:
        UsageError: An entry is unknown or out of range, or the folder holds other files.
    """
    if data is None:
        return
    entries = dict(data)
    out_dir, preset = Path(entries.pop('out_dir')), entries.pop('preset', 'default')
    if preset not in PRESETS:
        raise UsageError(f'data.preset of the plan is "{preset}": expected one of {", ".join(PRESETS)}')
    arguments = {key: entries.pop(key) for key in _DATASET_KEYS if key in entries}
    unknown = sorted(set(entries) - {field.name for field in fields(SyntheticVideoConfig)})
    if unknown:
        raise UsageError(f'data of the plan has the unknown entries {", ".join(unknown)}: remove them, or see '
                         'SyntheticVideoConfig and make_synthetic_dataset for the names')
    with hold_folder(out_dir, patience=math.inf):  # of jobs that start at once, the first one writes, the others wait
        try:
            make_synthetic_dataset(out_dir, SyntheticVideoConfig(**{**PRESETS[preset], **entries}), **arguments)
        except (TypeError, ValueError, FileExistsError) as error:
            raise UsageError(f'data of the plan: {error}') from error
