# Copyright (c) The mmvc contributors. All rights reserved.
"""The datasets inside wrappers such as ``RepeatDataset(dataset=...)`` and ``ConcatDataset(datasets=[...])``."""

from collections.abc import Iterator


def innermost_datasets(dataset: dict) -> Iterator[dict]:
    """Yield the configs of all datasets inside wrappers, or the one that has none.

    Args:
        dataset (dict): Config of a dataset, or of a wrapper around one or several.

    Yields:
        dict: Configs without a wrapper, in their order; not copies.
    """
    inside = dataset.get('datasets') or ([dataset['dataset']] if dataset.get('dataset') else [])
    for part in inside:
        yield from innermost_datasets(part)
    if not inside:
        yield dataset


def innermost_dataset(dataset: dict) -> dict:
    """Return the config of the dataset inside wrappers; of several datasets, the first."""
    return next(innermost_datasets(dataset))
