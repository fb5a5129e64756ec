# Copyright (c) The mmvc contributors. All rights reserved.
"""Where the files of a dataset are, so that no output is written over them."""

import os.path as osp
from typing import Any


def data_files(dataset: Any) -> list[str]:
    """List the folders of frames and masks of a dataset, and its annotation file.

    Args:
        dataset (BaseDataset): A dataset, or a wrapper around one or several (``dataset``, ``datasets``).

    Returns:
        list[str]: The paths, each once.
    """
    if hasattr(dataset, 'datasets') or hasattr(dataset, 'dataset'):
        inner = dataset.datasets if hasattr(dataset, 'datasets') else [dataset.dataset]
        return sorted({path for one in inner for path in data_files(one)})
    paths = {dataset.ann_file} if getattr(dataset, 'ann_file', '') else set()
    for index in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
        info = dataset.get_data_info(index)
        for frame in info.get('images', [info]):
            paths.update(osp.dirname(frame[key]) for key in ('img_path', 'seg_map_path') if frame.get(key))
    return sorted(path for path in paths if path)
