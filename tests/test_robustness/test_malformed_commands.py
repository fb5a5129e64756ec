# Copyright (c) The mmvc contributors. All rights reserved.
"""Configs, checkpoints and arguments that are wrong: every tool ends with a message that names the culprit."""

import json
import os
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.stopped_tool import Stopped
from tests.helpers.tiny_datasets import HEIGHT, WIDTH, WRITERS, write_image
from tests.helpers.tiny_training import write_config, write_videos


@pytest.fixture
def files(tmp_path):
    """Paths that the commands below use by name."""
    write_config(tmp_path)
    write_videos(tmp_path / 'videos')
    for kind, write in WRITERS.items():
        write(tmp_path / kind)
    for video in ('left', 'right'):
        for index in range(2):
            write_image(tmp_path / f'pred/{video}/{index}.png', np.zeros((HEIGHT, WIDTH), np.uint8))
    shutil.copytree(tmp_path / 'pred', tmp_path / 'pred2')
    shutil.copytree(tmp_path / 'vipseg/panomasksRGB', tmp_path / 'vps_pred/pan_pred')
    (tmp_path / 'vps_pred/pred.json').write_text(json.dumps(dict(
        annotations=json.loads((tmp_path / 'vipseg/train.json').read_text())['annotations'])))
    tracks = json.loads((tmp_path / 'vis/train.json').read_text())['annotations']
    (tmp_path / 'results.json').write_text(json.dumps([dict(track, score=0.5) for track in tracks]))
    weights = {'layer.weight': torch.ones(1, 1), 'layer.bias': torch.ones(1)}
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'good.pth')
    torch.save(dict(state_dict={'layer.weight': torch.ones(3, 1)}), tmp_path / 'shape.pth')
    torch.save(dict(state_dict=dict(weights, **{'layer.bias': torch.full((1, ), float('nan'))})), tmp_path / 'nan.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    torch.save({}, tmp_path / 'empty.pth')
    content = (tmp_path / 'good.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(content[:len(content) // 2])
    (tmp_path / 'text.pth').write_text('<html>404</html>')
    (tmp_path / 'zero.pth').write_bytes(b'')
    flipped = bytearray(content)
    flipped[content.index(torch.ones(1).numpy().tobytes())] ^= 0x40
    (tmp_path / 'flipped.pth').write_bytes(bytes(flipped))
    (tmp_path / 'code.pkl').write_bytes(pickle.dumps(os.system))
    (tmp_path / 'file').write_text('not a folder')
    for name, text in dict(
            syntax='model = dict(', json_='{"model": ', no_base="_base_ = './nowhere.py'", number='3',
            stages="_base_ = './tiny.py'\nstages = [dict(name='a')]", no_model='default_scope = "mmvc"',
            groups='groups = [dict(colour=1)]', name='model = undefined_name',
            module="custom_imports = dict(imports=['no_such_module'])\n" + Path(tmp_path / 'tiny.py').read_text()
            .replace("custom_imports = dict(imports=['tests.helpers.tiny_training'])", '')).items():
        (tmp_path / f'{name}.py').write_text(text)
    (tmp_path / 'config.json').write_text('{"model": ')
    (tmp_path / 'config.yaml').write_text('a: [1, 2')
    (tmp_path / 'config.txt').write_text('model = 1')
    (tmp_path / 'binary.py').write_bytes(b'\x89PNG\xff\0')
    return tmp_path


def damage(files, name):
    """What a command below does to the files before."""
    def rewrite(path, change):
        content = json.loads((files / path).read_text())
        change(content)
        (files / path).write_text(json.dumps(content))

    track = lambda **changes: rewrite('results.json', lambda c: c[0].update(changes))  # noqa: E731
    {
        'pred size': lambda: write_image(files / 'pred/left/1.png', np.zeros((5, 5), np.uint8)),
        'pred colour': lambda: write_image(files / 'pred/left/1.png', np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
        'pred text': lambda: (files / 'pred/left/1.png').write_text('text'),
        'pred value': lambda: write_image(files / 'pred/left/1.png', np.full((HEIGHT, WIDTH), 9, np.uint8)),
        'pred missing': lambda: (files / 'pred/left/1.png').unlink(),
        'gt flipped': lambda: (files / 'vspw/data/left/mask/1.png').write_bytes(
            (files / 'vspw/data/left/mask/1.png').read_bytes()[:-15] + b'xxx' +
            (files / 'vspw/data/left/mask/1.png').read_bytes()[-12:]),
        'frame text': lambda: (files / 'vspw/data/left/origin/1.jpg').write_text('text'),
        'mask size': lambda: write_image(files / 'vspw/data/left/mask/1.png', np.ones((5, 5), np.uint8)),
        'mask id': lambda: write_image(files / 'vspw/data/left/mask/1.png', np.full((HEIGHT, WIDTH), 9, np.uint8)),
        'list binary': lambda: (files / 'vspw/train.txt').write_bytes(b'\xff\xfe'),
        'vps id': lambda: cv2.imwrite(str(files / 'vps_pred/pan_pred/left/1.png'),
                                      np.full((HEIGHT, WIDTH, 3), 5, np.uint8)),
        'vps category': lambda: rewrite('vps_pred/pred.json', lambda c: c['annotations'][0]['annotations'][0][
            'segments_info'][0].update(category_id=7)),
        'vps twice': lambda: rewrite('vps_pred/pred.json', lambda c: c['annotations'].append(c['annotations'][0])),
        'vps null': lambda: rewrite('vps_pred/pred.json', lambda c: c.update(annotations=None)),
        'gt category': lambda: rewrite('vipseg/train.json', lambda c: c['categories'][1].update(id=5)),
        'results dict': lambda: (files / 'results.json').write_text('{}'),
        'results cut': lambda: (files / 'results.json').write_text('[{"video_id": 1'),
        'score text': lambda: track(score='high'),
        'score nan': lambda: track(score=float('nan')),
        'track video': lambda: track(video_id=77),
        'track masks': lambda: track(segmentations=[None]),
        'track rle': lambda: track(segmentations=[None, dict(size=[HEIGHT, WIDTH], counts='P3')]),
        'vis occlusion': lambda: rewrite('vis/train.json', lambda c: c['annotations'][0].update(
            occlusion=['dark', 'dark'])),
        'coco image': lambda: rewrite('coco/train.json', lambda c: c['annotations'][0].update(image_id=77)),
        'coco size': lambda: rewrite('coco/train.json', lambda c: c['images'][0].pop('height')),
        'vipseg size': lambda: rewrite('vipseg/train.json', lambda c: c['videos'][0]['images'][0].pop('width')),
    }[name]()


TRAIN = 'train {tiny} --data-root {videos} --work-dir {work}'
TEST = 'test {tiny} {good} --data-root {videos} --work-dir {work}'
VSS = 'evaluate vss --pred {pred} --gt {vspw} --split train --classes floor cup'
VPS = 'evaluate vps --pred {vps_pred} --gt {vipseg} --ann-file train.json'
VIS = 'evaluate vis --pred {results} --gt {vis}/train.json'
CHECK = 'dataset_converters/check_dataset'
TO_480P, TO_720P = 'dataset_converters/vspw_to_480p', 'dataset_converters/vipseg_to_720p'
COCO = 'dataset_converters/coco_to_pseudo_video'
SYNTHETIC = 'dataset_converters/make_synthetic'
PUBLISH = 'model_converters/publish_model {tiny}'
CONVERT = 'model_converters/dvispp_to_mmvc'
ANALYSIS = 'analysis_tools/'
BROWSE = ANALYSIS + 'browse_dataset {tiny} --data-root {videos} --out-dir {out}'
MODELS = ' --pred a={pred} b={pred2}'
COMPARE = ANALYSIS + 'compare_videos {tiny} --data-root {videos} --split train --out-dir {out}' + MODELS
MASKED = ANALYSIS + 'masked_prediction {tiny} {good} --out-dir {out}'
ATTENTION = ANALYSIS + 'show_attention {tiny} {good} --out-dir {out}'
APIS = 'mmvc.apis {videos}/data/a/origin --model {tiny} --weights {good} --out-dir {out}'
COMMANDS = [
    # command line [| damage], what the message must name
    ('train {nowhere}.py', 'nowhere.py" does not exist'),
    ('train {videos}', 'videos" does not exist'),
    ('train {syntax}', 'syntax.py'),
    ('train {name}', 'undefined_name'),
    ('train {binary}', 'binary.py'),
    ('train {no_base}', 'nowhere.py'),
    ('train {config_json}', 'config.json'),
    ('train {config_yaml}', 'config.yaml'),
    ('train {config_txt}', 'config.txt'),
    ('train {no_model}', 'model'),
    ('train {module}', 'no_such_module'),
    ('train {stages} --work-dir {work}', 'stages is a list'),
    ('train {tiny} --work-dir {file}/work', 'file'),
    ('train {tiny} --work-dir {work} --data-root {nowhere}', 'nowhere'),
    (TRAIN + ' --cfg-options model', '"model" is not KEY=VALUE'),
    (TRAIN + ' --cfg-options =3', '"=3" is not KEY=VALUE'),
    (TRAIN + ' --cfg-options model.poison=(1,2', 'model.poison=(1,2'),
    (TRAIN + ' --cfg-options model.poison=(1),(2)', 'model.poison=(1),(2)'),
    (TRAIN + ' --cfg-options optim_wrapper.optimizer.lr.x=1', "lr={'x': 1}"),
    (TRAIN + ' --cfg-options train_dataloader.dataset.pipeline.9.type=A', '9'),
    (TRAIN + ' --cfg-options model.type=NoSuchModel', 'NoSuchModel'),
    (TRAIN + ' --cfg-options model.colour=red', '"colour"'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.type=NoSuchSet', 'NoSuchSet'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.colour=red', '"colour"'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.pipeline.0.num_frames=0', 'num_frames must be at least 1'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.pipeline.0.type=NoSuchTransform', 'NoSuchTransform'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.max_bad_samples=-1', 'max_bad_samples'),
    (TRAIN + ' --cfg-options train_dataloader.dataset.metainfo.classes=cup', 'metainfo["classes"]'),
    (TRAIN + ' --cfg-options train_dataloader.batch_size=0', 'batch_size'),
    (TRAIN + ' --cfg-options train_dataloader.num_workers=-1', 'num_workers'),
    (TRAIN + ' --cfg-options optim_wrapper.optimizer.type=NoSuchOptimizer', 'NoSuchOptimizer'),
    (TRAIN + ' --cfg-options optim_wrapper.optimizer.lr=fast', 'fast'),
    (TRAIN + ' --cfg-options train_cfg.max_iters=many', 'many'),
    (TRAIN + ' --cfg-options train_cfg.type=NoSuchLoop', 'NoSuchLoop'),
    (TRAIN + ' --cfg-options train_cfg.max_iters=-5', 'max_iters'),
    (TRAIN + ' --cfg-options load_from={nowhere}', 'nowhere'),
    (TRAIN + ' --cfg-options load_from={text_pth}', 'text.pth'),
    (TRAIN + ' --cfg-options load_from={cut_pth}', 'cut.pth'),
    (TRAIN + ' --auto-scale-lr', 'base_batch_size'),
    (TRAIN + ' --stage a', '--stage'),
    (TRAIN + ' --watch nothing', 'nothing'),
    (TRAIN + ' --launcher mpi', 'mpi'),
    ('test {tiny} {nowhere}', 'nowhere" does not exist'),
    ('test {tiny} {cut_pth}', 'cut.pth" is truncated'),
    ('test {tiny} {text_pth}', 'text.pth" is a web page, not a checkpoint: download it again'),
    ('test {tiny} {zero_pth}', 'zero.pth'),
    ('test {tiny} {flipped_pth}', 'flipped.pth'),
    (TEST, 'test_dataloader'),
    (TEST + ' --show-fps 0', '--show-fps: it must lie in'),
    (TEST + ' --format-only --out a.json', '--out'),
    (VSS + ' --pred {nowhere}', 'nowhere'),
    (VSS + ' --list {nowhere}', 'nowhere'),
    (VSS + ' --masks mask', '{video}'),
    (VSS + ' --workers 0', '--workers: it must be at least 1'),
    (VSS + ' --label-offset 300', 'label'),
    (VSS + ' --label-offset -1', 'label'),
    (VSS + ' --num-classes 0', '--num-classes'),
    (VSS + ' --worst x', '--worst'),
    (VSS + ' --out {file}/report', 'file'),
    (VSS + ' | pred size', 'pred/left/1.png'),
    (VSS + ' | pred colour', 'pred/left/1.png'),
    (VSS + ' | pred text', 'pred/left/1.png'),
    (VSS + ' | pred value', 'pred/left/1.png'),
    (VSS + ' | pred missing', 'left/1'),
    (VSS + ' | gt flipped', 'vspw/data/left/mask/1.png'),
    (VSS + ' | list binary', 'train.txt'),
    (VPS + ' --ann-file nowhere.json', 'nowhere.json'),
    (VPS + ' | vps id', 'pan_pred/left/1.png'),
    (VPS + ' | vps category', 'the category 7'),
    (VPS + ' | vps twice', "'left' twice"),
    (VPS + ' | vps null', 'pred.json": annotations is null'),
    (VPS + ' | gt category', 'train.json": category ids'),
    (VIS + ' --pred {nowhere}', 'nowhere'),
    (VIS + ' | results dict', 'results.json'),
    (VIS + ' | results cut', 'results.json" is not valid JSON'),
    (VIS + ' | score text', "[0].score is 'high'"),
    (VIS + ' | score nan', '[0].score is nan'),
    (VIS + ' | track video', 'video_id 77'),
    (VIS + ' | track masks', 'results.json", video 1'),
    (VIS + ' | track rle', 'results.json", video 1'),
    (VIS + ' | vis occlusion', 'dark'),
    (CHECK + ' vspw {nowhere}', 'nowhere'),
    (CHECK + ' vspw {vspw} --splits valid', 'valid'),
    (CHECK + ' vspw {vspw} --splits train --own | list binary', 'train.txt'),
    (CHECK + ' vspw {vspw} --splits train --own | frame text', 'left/origin/1.jpg'),
    (CHECK + ' vspw {vspw} --splits train --own --num-classes 2 | mask id', 'left/mask/1.png'),
    (CHECK + ' vspw {vspw} --splits train --own --json {file}/report.json', 'file'),
    (CHECK + ' vspw {vspw} --own --num-classes -3', '--num-classes'),
    (CHECK + ' vspw {vspw} --own --workers 0', '--workers: it must be at least 1'),
    (TO_480P + ' {nowhere} {out}', 'nowhere'),
    (TO_480P + ' {vspw} {out} --height 0', 'height'),
    (TO_480P + ' {vspw} {out} --quality 500', 'quality'),
    (TO_480P + ' {vspw} {file}', 'file'),
    (TO_480P + ' {vspw} {out} | frame text', 'left/origin/1.jpg'),
    (TO_480P + ' {vspw} {out} | mask size', 'left/mask/1.png'),
    (TO_720P + ' {nowhere} {out}', 'nowhere'),
    (TO_720P + ' {vipseg} {out}', 'imgs'),
    (COCO + ' {nowhere} {out} --target ovis', 'nowhere'),
    (COCO + ' {vis}/train.json {out} --target ovis', 'train.json'),
    (COCO + ' {coco}/train.json {out} --target ovis | coco image', 'annotation 5 has the image_id 77'),
    (COCO + ' {coco}/train.json {out} --target ovis | coco size', 'images[0] has no height'),
    (SYNTHETIC + ' {out} --size 0 0', 'size'),
    (SYNTHETIC + ' {out} --num-things 5 2', 'num_things'),
    (SYNTHETIC + ' {out} --jpeg-quality 0', 'jpeg_quality'),
    (SYNTHETIC + ' {out} --workers 0', 'workers'),
    (SYNTHETIC + ' {file} --num-train 1 --num-val 0 --num-frames 1', 'file'),
    (PUBLISH + ' {nowhere}', 'nowhere'),
    (PUBLISH + ' {cut_pth}', 'cut.pth'),
    (PUBLISH + ' {list_pth}', 'state_dict'),
    (PUBLISH + ' {empty_pth}', 'state_dict'),
    (PUBLISH + ' {shape_pth}', 'layer.weight'),
    (PUBLISH + ' {nan_pth}', 'layer.bias: NaN or infinite'),
    (PUBLISH + ' {good} --date yesterday', 'yesterday'),
    (PUBLISH + ' {good} {file}', 'file'),
    (CONVERT + ' {nowhere} {out}.pth', 'nowhere'),
    (CONVERT + ' {text_pth} {out}.pth', 'text.pth'),
    (CONVERT + ' {cut_pth} {out}.pth', 'cut.pth'),
    (CONVERT + ' {list_pth} {out}.pth', 'list.pth'),
    (CONVERT + ' {code_pkl} {out}.pth', 'code.pkl'),
    (CONVERT + ' {good} {out}.txt', 'out.txt'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a --out {out}', 'NAME=FOLDER'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} --out {out}', 'give two or more'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={nowhere} --out {out}', 'nowhere'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={pred2} --out {pred}/inside', 'inside it'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={pred2} --out {out} --table {tiny}/scores.csv',
     'tiny.py'),
    ('aggregate --images {vspw}/data --pred a={pred} b={pred2} --out {out}', '{video}'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={pred2} --out {out} --window 4',
     'window must be an odd number'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={pred2} --out {out} | pred text',
     'pred/left/1.png'),
    ('aggregate --images {vspw}/data/{{video}}/origin --pred a={pred} b={pred2} --out {out} | frame text',
     'left/origin/1.jpg'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {nowhere} --audit {out} --dry-run', 'nowhere'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {pred} --audit {out} --dry-run --questions 0',
     '--questions'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {pred} --audit {out}', '--model'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {pred} --audit {out} --dry-run --config {tiny}',
     'tiny.py'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {pred} --audit {out} --dry-run --config '
     '{groups}', 'groups.py'),
    ('correct_categories --images {vspw}/data/{{video}}/origin --pred {pred} --audit {out} --dry-run --config '
     '{nowhere}', 'nowhere'),
    (BROWSE + ' --cfg-options foo', '"foo" is not KEY=VALUE'),
    (BROWSE + ' --cfg-options train_dataloader.dataset.type=NoSuchSet', 'NoSuchSet'),
    (BROWSE + ' --split test', 'no test_dataloader'),
    (BROWSE + ' --videos street', 'no video "street"'),
    (BROWSE + ' --max-frames 0', '--max-frames: it must be at least 1'),
    (BROWSE + ' --fps 0', '--fps: it must lie in'),
    (COMPARE, 'pred/a/0.png'),
    (COMPARE + ' --pred a={pred} b={nowhere}', 'nowhere'),
    (COMPARE + ' --pred a={pred}', 'two to 5 models'),
    (COMPARE + ' --score-thr 2', '--score-thr: it must lie in'),
    (COMPARE + ' --alpha nan', '--alpha: it must lie in'),
    (COMPARE + ' --cfg-options =1', '"=1" is not KEY=VALUE'),
    (MASKED, 'PoisonedModel'),
    (MASKED + ' --max-frames 0', '--max-frames: it must be at least 1'),
    (MASKED + ' --num 0', '--num: it must be at least 1'),
    (MASKED + ' --cfg-options model.nix=1', '"nix"'),
    (ANALYSIS + 'masked_prediction {tiny} {cut_pth}', 'cut.pth" is truncated'),
    (ATTENTION + ' --fps 0', '--fps: it must lie in'),
    (ATTENTION + ' --layer -1', '--layer: it must be at least 0'),
    (ATTENTION + ' --cfg-options model.nix=1', '"nix"'),
    (ATTENTION + ' --baseline {tiny} {nowhere}', 'PoisonedModel'),
    (ANALYSIS + 'show_attention {nowhere} {good}', 'nowhere" does not exist'),
    (APIS, 'PoisonedModel'),
    (APIS + ' --max-memory nan', '--max-memory: it must be at least 0'),
    (APIS + ' --weights {text_pth}', 'text.pth'),
    (APIS + ' --model {syntax}', 'syntax.py'),
    (APIS + ' --formats gif', "'gif'"),
    ('mmvc.apis {nowhere}.mp4', 'nowhere.mp4" does not exist'),
    ('ablate {tiny} --work-dir {work} --dry-run', 'tiny.py'),
    ('ablate {nowhere}', 'nowhere" does not exist'),
    ('ablate {tiny} --jobs 0', '--jobs'),
    ('ablate {tiny} --cfg-options foo', '"foo" is not KEY=VALUE'),
    ('challenge_pipeline {tiny} --work-dir {work} --dry-run', 'models'),
    ('challenge_pipeline {nowhere}', 'nowhere" does not exist'),
    ('challenge_pipeline {tiny} --workers 0', '--workers'),
]


class Paths(dict):
    """Names in a command line -> paths."""

    def __missing__(self, name):
        root = self['root']
        known = dict(tiny='tiny.py', good='good.pth', results='results.json', config_json='config.json',
                     config_yaml='config.yaml', config_txt='config.txt', json_='json_.py')
        if name in known:
            return root / known[name]
        for suffix in ('.py', ''):
            if (root / f'{name}{suffix}').exists():
                return root / f'{name}{suffix}'
        stem, _, suffix = name.rpartition('_')
        return root / f'{stem}.{suffix}' if suffix in ('pth', 'pkl') else root / name


@pytest.mark.parametrize('command, culprit', COMMANDS, ids=[' '.join(command.split('/')[-1].split()[:1] + [
    culprit]) for command, culprit in COMMANDS])
def test_the_message_names_the_culprit(run, files, monkeypatch, command, culprit):
    monkeypatch.chdir(files)
    command, _, what = command.partition(' | ')
    if what:
        damage(files, what)
    name, *arguments = command.format_map(Paths(root=files)).split()
    with pytest.raises(Stopped) as caught:
        run(name, *arguments)
    message = str(caught.value)
    assert culprit in message, message
    assert 'Traceback' not in message
