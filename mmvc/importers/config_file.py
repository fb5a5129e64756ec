# Copyright (c) The mmvc contributors. All rights reserved.
"""The config that trains a small model on an imported dataset."""

import os
from pathlib import Path

from mmvc.formats import vipseg
from mmvc.utils.errors import UsageError
from mmvc.utils.shipped_files import find_shipped

from .classes import ClassMap
from .layouts import FRAMES, MASKS

NAME = 'config.py'
_BASES = dict(
    semantic='configs/mvc/dvispp_r18_synthetic.py',
    instances='configs/mvc/dvispp_r18_synthetic_vis.py',
    panoptic='configs/mvc/dvispp_r18_synthetic_vps.py')
_HEAD = """# Trains a small model on this dataset. It was written with the dataset; change it as you like.
_base_ = {base}

work_dir = {work_dir}
data_root = {quote}{{{{ fileDirname }}}}{quote}
classes = {classes}
palette = {palette}
metainfo = dict(classes=classes, palette=palette)
"""
_SEMANTIC = """dataset = dict(
    type='BaseVideoSegDataset',
    data_root=data_root,
    data_prefix=dict(img_path={frames!r}, seg_map_path={masks!r}),
    img_suffix={suffix!r},
    label_offset=0,
    void_values=(255, ),{sparse}
    metainfo=metainfo)
train_dataloader = dict(dataset=dict(dataset, ann_file='train.txt'))
val_dataloader = dict(dataset=dict(dataset, ann_file='{val}.txt'))
test_dataloader = val_dataloader
model = dict(num_classes=len(classes))
"""
_INSTANCES = """dataset = dict(data_root=data_root,{sparse} metainfo=metainfo)
train_dataloader = dict(dataset=dict(dataset, split='train'))
val_dataloader = dict(dataset=dict(dataset, split='{valid}'))
test_dataloader = val_dataloader
val_evaluator = dict(data_root=data_root, split='{valid}')
test_evaluator = val_evaluator
model = dict(num_classes=len(classes))
"""
_PANOPTIC = """dataset = dict(data_root=data_root, img_suffix={suffix!r},{sparse} metainfo=metainfo)
train_dataloader = dict(dataset=dict(dataset, ann_file='{train_file}'))
val_dataloader = dict(dataset=dict(dataset, ann_file='{val_file}'))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{{data_root}}/{val_file}')
test_evaluator = val_evaluator
model = dict(num_classes=len(classes), postprocessor=dict(thing_classes={things}))
"""
_BODIES = dict(semantic=_SEMANTIC, instances=_INSTANCES, panoptic=_PANOPTIC)


def config_text(root: Path, layout: str, classes: ClassMap, suffix: str, is_sparse: bool, val: str) -> str:
    """Write the config of a dataset.

    Args:
        root (Path): Root of the dataset, in which the config will lie.
        layout (str): Its layout.
        classes (ClassMap): Its classes.
        suffix (str): Suffix of its frames.
        is_sparse (bool): Whether some frames have no labels.
        val (str): Split to validate on.

    Returns:
        str: The text of the config.

    Raises:
        UsageError: The configs of this package are not installed.
    """
    values = dict(
        quote=_quote(root.resolve()),
        base=_literal(_base(root, layout)),
        work_dir=_literal(f'work_dirs/{root.resolve().name}'),
        classes=_literal(classes.names),
        palette=_literal(classes.palette),
        frames=FRAMES,
        masks=MASKS,
        suffix=suffix,
        sparse=f'{" " if layout != "semantic" else chr(10) + "    "}sparse_labels=True,' if is_sparse else '',
        val=val,
        valid=dict(val='valid').get(val, val),
        train_file=vipseg.ann_file('train'),
        val_file=vipseg.ann_file(val),
        things=[index for index, is_thing in enumerate(classes.is_thing) if is_thing])
    return (_HEAD + _BODIES[layout]).format(**values)


def _base(root: Path, layout: str) -> str:
    """Path of the config to inherit from: relative if both lie below the current folder, so that this can be moved."""
    found = find_shipped(_BASES[layout])
    if found is None:
        raise UsageError(f'"{_BASES[layout]}" is not installed: install mmvc again')
    base, root, here = found.resolve(), root.resolve(), Path.cwd()
    if base.is_relative_to(here) and root.is_relative_to(here):
        return Path(os.path.relpath(base, root)).as_posix()
    return base.as_posix()


def _quote(root: Path) -> str:
    """The quotes for a path that mmengine puts between them as it is."""
    return next((quote for quote in ("'", '"', '"""') if quote not in str(root)), "'")


def _literal(value: object) -> str:
    """Python text of a value; mmengine would fill in what stands in double braces."""
    return repr(value).replace('{', r'\x7b')
