# Copyright (c) The mmvc contributors. All rights reserved.
"""A folder in which the documented commands can be run: its data are generated, its configs are in miniature."""

import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmvc.datasets.camvid import CamVidDataset
from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from tests.helpers.annotation_exports import cvat_body, write_cvat_xml
from tests.helpers.doc_commands import PAGES, ROOT, Command, python_blocks_of
from tests.helpers.drawn_videos import write_frames
from tests.helpers.tiny_configs import shrink

#: configs that the documentation trains and tests with
MINIATURES = [
    'mvc/dvispp_r18_synthetic', 'dvispp/dvispp_r18_synthetic', 'mvc/lvmt_tiny_synthetic', 'lvmt/lvmt_tiny_synthetic'
]
WORK_DIR = 'work_dirs/mvc/dvispp_r18_synthetic'
#: the command that makes the weights
TRAINING = ('python', 'tools/train.py', 'configs/mvc/dvispp_r18_synthetic.py')
#: the same by the console script
TRAINING_BY_COMMAND = ('python', '-m', 'mmvc', 'train', TRAINING[-1])
#: placeholders of the documentation -> what takes their place
STAND_INS = dict(
    CONFIG='configs/mvc/dvispp_r18_synthetic.py',
    CHECKPOINT=f'{WORK_DIR}/offline/iter_1.pth',
    VIDEO='street.mp4')
#: path -> text of the configs that the documentation writes for own datasets
OWN_CONFIGS = [(re.search(r'`(configs/\S+\.py)`', before)[1], code) for page in PAGES
               for _, code, before in python_blocks_of(page) if code.startswith('_base_')]
#: script -> a folder of its own and arguments that make its work small
SMALL = {
    'tools/dataset_converters/make_synthetic.py':
    ('data/synthetic', 'made', '--num-train 1 --num-val 1 --num-frames 2 --size 48 64'),
}
#: command of `mmvc` -> script that does the same
SCRIPTS = dict(train='tools/train.py', synthetic='tools/dataset_converters/make_synthetic.py')


def reduce(command: Command) -> Command:
    """The same command on what is in the folder."""
    words = [STAND_INS.get(word, re.sub(r'^(work_dirs/.*/iter_)\d+', r'\g<1>1', word)) for word in command.words]
    script = SCRIPTS.get(words[3], '') if words[1:3] == ['-m', 'mmvc'] else words[1]
    given, folder, more = SMALL.get(script, ('', '', ''))
    if script == 'tools/train.py' and 'CONFIG' in command.words and '--work-dir' not in words:
        # one stage is enough, in a folder without results
        more = '--stage segmenter --work-dir work_dirs/other'
    return command._replace(words=(*(folder if word == given else word for word in words), *more.split()))


def write_folder(root: Path) -> None:
    """Write data, configs and predictions; weights come from running ``tools/train.py`` in it."""
    shutil.copytree(ROOT / 'configs', root / 'configs')
    for name in MINIATURES:
        _write_miniature(root / f'configs/{name}.py')
    for path in root.glob('configs/*/*.new.py'):
        os.replace(path, path.with_name(path.name.replace('.new', '')))
    for path, code in OWN_CONFIGS:
        (root / path).write_text(code)
    settings = SyntheticVideoConfig(size=(48, 64), num_frames=3, thing_radius=(0.2, 0.3))
    make_synthetic_dataset(
        root / 'data/synthetic', settings, formats=('vspw', 'vipseg', 'ytvis'), num_train=2, num_val=1)
    data = root / 'data'
    for name, source in (('VSPW_480p', 'vspw'), ('VIPSeg_720P', 'vipseg'), ('youtube_vis_2021', 'ytvis')):
        (data / name).symlink_to(f'synthetic/{source}')
    (data / 'ovis').mkdir()
    (data / 'ovis/annotations_train.json').symlink_to('../synthetic/ytvis/train/instances.json')
    _write_camvid(data)
    _write_own(data)
    _write_predictions(root)
    _write_video(root)
    _write_export(root)


def _write_miniature(path: Path) -> None:
    """Replace a config by one of the same model in miniature, which is trained for one iteration."""
    cfg = Config.fromfile(str(path))
    shrink(cfg.model)
    for part in (cfg, *cfg.stages.values()):
        if 'train_cfg' in part:
            part.train_cfg.update(max_iters=1, val_interval=1)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(serialize_data=False)  # mmengine collects garbage for it, longer than a step takes
    stages = cfg.pop('stages').to_dict()  # mmengine would sort them
    cfg.dump(path.with_suffix('.new.py'))  # the others inherit from this one as it was
    with open(path.with_suffix('.new.py'), 'a') as file:
        file.write(f'\nstages = {stages!r}\n')


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def _masks(data: Path, split: str) -> dict:
    """``<video>/<frame>`` -> mask of the generated VSPW."""
    videos = (data / f'synthetic/vspw/{split}.txt').read_text().split()
    paths = [path for video in videos for path in sorted((data / f'synthetic/vspw/data/{video}/mask').iterdir())]
    return {f'{path.parents[1].name}/{path.stem}': cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths}


def _write_camvid(data: Path) -> None:
    void = len(CamVidDataset.METAINFO['classes'])
    for name, mask in _masks(data, 'val').items():
        _write(data / f'camvid/Annotations/{name}.png', np.where(mask, mask - 1, void).astype(np.uint8))
    (data / 'camvid/ImageSets').mkdir()
    shutil.copy(data / 'synthetic/vspw/val.txt', data / 'camvid/ImageSets')


def _write_own(data: Path) -> None:
    """The datasets of the page about own datasets: masks, tracks and panoptic PNGs."""
    for split in ('train', 'val'):
        for name, mask in _masks(data, split).items():
            video, frame = name.split('/')
            _write(data / f'kitchen/labels/{name}.png', mask.clip(0, 2))
            (data / f'kitchen/frames/{video}').mkdir(parents=True, exist_ok=True)
            shutil.copy(data / f'synthetic/vspw/data/{video}/origin/{frame}.jpg', data / f'kitchen/frames/{name}.jpg')
        shutil.copy(data / f'synthetic/vspw/{split}.txt', data / 'kitchen')
    names = dict(ball='cup', crate='plate')
    shutil.copytree(data / 'synthetic/ytvis', data / 'cups')
    for split in ('train', 'valid'):
        content = json.loads((data / f'cups/{split}/instances.json').read_text())
        (data / f'cups/{split}/instances.json').unlink()
        kept = {entry['id']: names[entry['name']] for entry in content['categories'] if entry['name'] in names}
        content['categories'] = [dict(id=number, name=name) for number, name in kept.items()]
        content['annotations'] = [entry for entry in content['annotations'] if entry['category_id'] in kept]
        (data / f'cups/{split}.json').write_text(json.dumps(content))
    (data / 'park').symlink_to('synthetic/vipseg')


def _write_predictions(root: Path) -> None:
    """Perfect predictions for all three tasks in one folder, and as those of two models."""
    for name, mask in _masks(root / 'data', 'val').items():
        _write(root / f'PRED/{name}.png', np.where(mask, mask - 1, 255).astype(np.uint8))
    vipseg = root / 'data/synthetic/vipseg'
    content = json.loads((vipseg / 'panoptic_gt_VIPSeg_val.json').read_text())
    (root / 'PRED/pred.json').write_text(json.dumps(dict(annotations=content['annotations'])))
    for video in content['videos']:
        shutil.copytree(vipseg / f'panomasksRGB/{video["video_id"]}', root / f'PRED/pan_pred/{video["video_id"]}')
    tracks = json.loads((root / 'data/synthetic/ytvis/train/instances.json').read_text())['annotations']
    (root / 'PRED/results.json').write_text(json.dumps([
        {key: track[key] for key in ('video_id', 'category_id', 'segmentations')} | dict(score=1.0) for track in tracks
    ]))
    for name in ('a', 'b'):
        shutil.copytree(root / 'PRED', root / f'results/{name}')


def _write_video(root: Path) -> None:
    frames = sorted((root / 'data/synthetic/vspw/data').glob('val_*/origin/*.jpg'))
    writer = cv2.VideoWriter(str(root / 'street.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for frame in frames:
        writer.write(cv2.imread(str(frame)))
    writer.release()


def _write_export(root: Path) -> None:
    """The export of an annotation tool."""
    write_frames(root / 'exports/street/images', [f'frame_{index:06d}' for index in range(5)])
    write_cvat_xml(root / 'exports/street/annotations.xml', cvat_body())
