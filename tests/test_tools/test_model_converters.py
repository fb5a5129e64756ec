# Copyright (c) The mmvc contributors. All rights reserved.
import argparse
import functools
import hashlib
import pickle
import re
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader

from mmvc.apis import VideoSegInferencer
from mmvc.registry import MODELS
from tests.helpers.tiny_inference import CLASSES, PALETTE, tiny_config, vivid_model

REPO = Path(__file__).parents[2]
CONFIG = REPO / 'tests/data/modules/e2e_tiny_config.py'
SEGMENTER = ("model = dict(_delete_=True, type='MinVIS', num_classes=10, backbone=_base_.model.backbone, "
             'head=_base_.model.head, postprocessor=_base_.model.postprocessor)')


@pytest.fixture
def run(run):
    """Run a converter as if from the command line, in this process."""
    return lambda name, *arguments: run(f'model_converters/{name}', *arguments)


def error_of(run, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    return str(caught.value.code)


@pytest.fixture(scope='module')
def golden():
    with np.load(REPO / 'tests/data/modules/e2e_tiny.npz') as arrays:
        return {key[3:]: arrays[key] for key in arrays if key.startswith('sd/')}


@pytest.fixture
def source(golden, tmp_path):
    """A checkpoint as the official code writes it."""
    path = tmp_path / 'official.pth'
    weights = {name: torch.from_numpy(array) for name, array in golden.items()}
    torch.save(dict(model=dict(weights, **{'criterion.empty_weight': torch.ones(11)}), iteration=5), path)
    return path


@pytest.fixture
def write_config(tmp_path):

    def write(changes, name='config.py'):
        (tmp_path / name).write_text(f"_base_ = '{CONFIG}'\n{changes}\n")
        return tmp_path / name

    return write


def build_model(config=CONFIG):
    init_default_scope('mmvc')
    return MODELS.build(Config.fromfile(config).model)


def test_convert_and_check(run, source, tmp_path, capsys):
    run('dvispp_to_mmvc', source, tmp_path / 'new/model.pth', '--config', CONFIG)
    converted = torch.load(tmp_path / 'new/model.pth', weights_only=True)
    build_model().load_state_dict(converted['state_dict'])  # strict
    assert converted['meta']['converted_from'] == 'DVIS++ offline'
    assert converted['meta']['source_sha256'] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert list((tmp_path / 'new').iterdir()) == [tmp_path / 'new/model.pth']
    out = capsys.readouterr().out
    for line in ('kind      DVIS++ offline', 'backbone  ResNet-50', 'stages    segmenter, tracker, refiner',
                 'classes   10', 'queries   12', 'left out: 1 keys (the class weights of the loss'):
        assert line in out
    trained = sum(parameter.numel() for parameter in build_model().tracker.parameters())
    assert re.search(rf'\| tracker +\| +\d+ \| +{trained:,} \|', out)


def test_convert_from_an_address(run, source, tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        run('dvispp_to_mmvc', f'{url}/official.pth?key=1', tmp_path / 'model.pth')
        assert f'"{url}/none.pth" cannot be downloaded: 404' in error_of(run, 'dvispp_to_mmvc', f'{url}/none.pth',
                                                                         tmp_path / 'none.pth')
        server.shutdown()
    meta = torch.load(tmp_path / 'model.pth', weights_only=True)['meta']
    assert meta['source'] == 'official.pth'
    assert meta['source_sha256'] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_initialise_a_segmenter_from_coco(run, golden, write_config, tmp_path, capsys):
    """A detectron2 pickle of a Mask2Former with 80 classes, for a segmenter with 10."""
    arrays = {name.replace('query_feat', 'static_query'): array for name, array in golden.items()
              if not name.startswith(('tracker.', 'refiner.')) and 'reid_embed' not in name}
    for leaf, shape in (('weight', (81, 32)), ('bias', (81, ))):
        arrays[f'sem_seg_head.predictor.class_embed.{leaf}'] = np.zeros(shape, np.float32)
    source, config = tmp_path / 'coco.pkl', write_config(SEGMENTER)
    source.write_bytes(pickle.dumps(dict(model=arrays, __author__='Model Zoo')))

    error = error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'init.pth', '--config', config)
    for part in ('80 (COCO instances) classes', 'the model of the config 10', '--drop-class-head'):
        assert part in error
    assert not (tmp_path / 'init.pth').exists()
    run('dvispp_to_mmvc', source, tmp_path / 'init.pth', '--config', config, '--drop-class-head')
    out = capsys.readouterr().out
    assert 'missing: head.cls_embed. (dropped on request)' in out
    assert 'missing: head.reid_embed. (this segmenter has no re-identification branch)' in out
    weights = torch.load(tmp_path / 'init.pth', weights_only=True)['state_dict']
    missing, unexpected = build_model(config).load_state_dict(weights, strict=False)
    assert {name.rsplit('.', 1)[0] for name in missing} == {
        'head.cls_embed', *(f'head.reid_embed.layers.{i}' for i in range(3))} and not unexpected


def test_segmenter_only(run, source, write_config, tmp_path):
    run('dvispp_to_mmvc', source, tmp_path / 'segmenter.pth', '--segmenter-only', '--config', write_config(SEGMENTER))
    weights = torch.load(tmp_path / 'segmenter.pth', weights_only=True)['state_dict']
    assert {name.split('.')[0] for name in weights} == {'backbone', 'head'}
    segmenter = dict(model=dict(type='MinVIS', _remove_=['tracker', 'refiner']))
    stages = write_config(f'stages = dict(_delete_=True, first={segmenter}, last={{}})')
    run('dvispp_to_mmvc', source, tmp_path / 'first.pth', '--segmenter-only', '--config', stages, '--stage', 'first')
    assert 'has no stage "second"' in error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'second.pth', '--config',
                                               stages, '--stage', 'second')


@pytest.mark.parametrize('changes, messages', [
    ('model = dict(num_classes=124)', ['10 classes, the model of the config 124 (VSPW or VIPSeg)']),
    (SEGMENTER, ['tracker.post_norm.weight: not in the model', 'or the stage differ?']),
    ('model = dict(tracker=dict(num_layers=3))', ['tracker.layers.2.norms.0.weight: not in the checkpoint']),
    ('model = dict(head=dict(num_queries=100))', [
        '2 weights', 'head.query_feat.weight: shape (12, 32) in the checkpoint, (100, 32) in the model'])
])
def test_weights_that_do_not_fit_the_config(run, source, write_config, tmp_path, changes, messages):
    error = error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'out.pth', '--config', write_config(changes))
    assert all(message in error for message in messages) and not (tmp_path / 'out.pth').exists()


def test_wrong_arguments(run, source, tmp_path):
    assert 'must be a .pth file' in error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'out.pkl')
    assert 'are the same file' in error_of(run, 'dvispp_to_mmvc', source, source)
    assert 'does not exist' in error_of(run, 'dvispp_to_mmvc', tmp_path / 'none.pth', tmp_path / 'out.pth')
    assert 'config "none.py"' in error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'out.pth', '--config', 'none.py')


@pytest.fixture
def encoder_only(tmp_path):
    """An official VidEoMT of tiny size with random weights, and configs of its model with further settings."""
    dims, official = 16, 'backbone.encoder.backbone.'
    shapes = {
        'backbone.attn_mask_probs': (1, ), f'{official}cls_token': (1, 1, dims), f'{official}reg_token': (1, 4, dims),
        f'{official}pos_embed': (1, 16, dims), f'{official}patch_embed.proj.weight': (dims, 3, 16, 16),
        f'{official}patch_embed.proj.bias': (dims, ), 'backbone.q.weight': (6, dims), 'criterion.empty_weight': (41, )
    }
    linears = {'query_updater': (dims, dims), 'class_head': (41, dims), **{f'mask_head.{i}': (dims, dims) for i in (
        0, 2, 4)}, **{f'upscale.{i}.conv1': (dims, dims, 2, 2) for i in (0, 1)}}
    for i in (0, 1):
        shapes[f'backbone.upscale.{i}.conv2.weight'] = (dims, 1, 3, 3)
        linears.update({f'upscale.{i}.norm': (dims, )})
        block = f'encoder.backbone.blocks.{i}'
        linears.update({f'{block}.norm1': (dims, ), f'{block}.norm2': (dims, ), f'{block}.attn.qkv': (3 * dims, dims),
                        f'{block}.attn.proj': (dims, dims), f'{block}.mlp.fc1': (4 * dims, dims),
                        f'{block}.mlp.fc2': (dims, 4 * dims)})
        shapes.update({f'{official}blocks.{i}.ls{j}.gamma': (dims, ) for j in (1, 2)})
    for name, shape in (linears | {'encoder.backbone.norm': (dims, )}).items():
        shapes.update({f'backbone.{name}.weight': shape, f'backbone.{name}.bias': shape[:1]})
    torch.save(dict(model={name: torch.randn(shape) for name, shape in shapes.items()}), tmp_path / 'videomt.pth')

    def write(num_classes=40, propagation="dict(type='LinearPropagation')", **encoder):
        encoder = dict(type='PlainViT', arch=dict(embed_dims=dims, depth=2, num_heads=2), position='absolute',
                       position_grid=4) | encoder
        matcher = 'HungarianMaskMatcher' if propagation is None else 'ClipHungarianMatcher'
        (tmp_path / 'videomt.py').write_text(
            f"model = dict(type='EncoderOnlySegmentor', num_classes={num_classes}, num_queries=6, encoder={encoder}, "
            f"decoder=dict(type='JointBlocks', num_blocks=1), propagation={propagation}, "
            f"criterion=dict(type='MaskClassificationLoss'), matcher=dict(type='{matcher}'), "
            "postprocessor=dict(type='VISPostprocessor'))\n")
        return tmp_path / 'videomt.py'

    return tmp_path / 'videomt.pth', write


def test_convert_an_encoder_only_model(run, encoder_only, tmp_path, capsys):
    path, write = encoder_only
    run('dvispp_to_mmvc', path, tmp_path / 'out.pth', '--config', write())
    weights = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert weights['meta']['converted_from'] == 'VidEoMT'
    build_model(write()).load_state_dict(weights['state_dict'])  # strict
    out = capsys.readouterr().out
    for line in ('kind      VidEoMT', 'backbone  DINOv2 ViT (?), 4 registers, table of 4 x 4 positions',
                 'stages    segmenter, online', 'classes   40 (YouTube-VIS 2019, 2021 or 2022)', 'queries   6'):
        assert line in out
    assert re.search(r'\| head +\|', out) and re.search(r'\| propagation +\| +2 \|', out)

    error = error_of(run, 'dvispp_to_mmvc', path, tmp_path / 'bad.pth', '--config', write(position_grid=8))
    assert 'encoder.pos_embed: shape (1, 16, 16) in the checkpoint, (1, 64, 16)' in error
    assert '--position-grid resamples it' in error
    run('dvispp_to_mmvc', path, tmp_path / 'large.pth', '--position-grid', 8, '--config', write(position_grid=8))
    run('dvispp_to_mmvc', path, tmp_path / 'image.pth', '--segmenter-only', '--drop-class-head', '--config',
        write(num_classes=25, propagation=None))
    out = capsys.readouterr().out
    assert 'stages    segmenter\n' in out and 'missing: propagation. (a segmenter of single frames' in out
    error_of(run, 'dvispp_to_mmvc', path, tmp_path / 'bad.pth', '--position-grid', 0)
    assert 'at least 1' in capsys.readouterr().err and not (tmp_path / 'bad.pth').exists()


def test_convert_a_pretrained_encoder(run, encoder_only, tmp_path, capsys):
    """DINOv2 in Meta's names becomes the encoder only on request."""
    path, write = encoder_only
    prefix = 'backbone.encoder.backbone.'
    weights = {name[len(prefix):]: value for name, value in torch.load(path, weights_only=True)['model'].items()
               if name.startswith(prefix)}
    weights.update(register_tokens=weights.pop('reg_token'), mask_token=torch.zeros(1, 16),
                   pos_embed=torch.randn(1, 26, 16))
    weights['patch_embed.proj.weight'] = torch.randn(16, 3, 14, 14)
    source = tmp_path / 'dinov2.pth'
    torch.save(weights, source)
    assert '--plain-vit' in error_of(run, 'dvispp_to_mmvc', source, tmp_path / 'encoder.pth')
    run('dvispp_to_mmvc', source, tmp_path / 'encoder.pth', '--plain-vit', '--position-grid', 4, '--config', write())
    out = capsys.readouterr().out
    assert 'kind      DINOv2 of Meta' in out and 'missing: head. (only the encoder was pretrained)' in out
    encoder = torch.load(tmp_path / 'encoder.pth', weights_only=True)['state_dict']
    missing, unexpected = build_model(write()).load_state_dict(encoder, strict=False)
    assert not unexpected and not any(name.startswith('encoder.') for name in missing)


@pytest.fixture
def trained(tmp_path):
    """A checkpoint as mmengine writes it in the middle of a training with averaged weights."""
    model = build_model()
    model.refiner.reid_loss.memory.embeds.fill_(7)
    state_dict = model.state_dict()
    history = dict(log_scalars=dict(loss=HistoryBuffer([1.0, 0.5], [1, 1])), runtime_info={}, resumed_keys={})
    torch.save(
        dict(
            meta=dict(iter=40, epoch=0, time='20240131_120000', cfg='work_dir = "/home/someone"', seed=1,
                      dataset_meta=dict(classes=('sky', 'sea'))),
            state_dict=state_dict,
            ema_state_dict={f'module.{name}': torch.zeros_like(value) for name, value in state_dict.items()},
            optimizer=dict(state={0: torch.zeros(1000)}, param_groups=[]),
            message_hub=history), tmp_path / 'iter_40.pth')
    return tmp_path / 'iter_40.pth', state_dict


def test_publish(run, trained, tmp_path, capsys):
    path, state_dict = trained
    run('publish_model', CONFIG, path, tmp_path / 'zoo')
    published, = (tmp_path / 'zoo').iterdir()
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert published.name == f'e2e_tiny_config_20240131-{digest[:8]}.pth'
    assert str(published) in capsys.readouterr().out
    content = torch.load(published, weights_only=True)
    assert content.keys() == {'meta', 'state_dict'}
    assert content['meta'] | dict(mmvc_version='') == dict(
        config_name='e2e_tiny_config.py', mmvc_version='', iter=40, epoch=0, dataset_meta=dict(classes=('sky', 'sea')))
    assert state_dict.keys() - content['state_dict'].keys() == {
        'refiner.reid_loss.memory.embeds', 'refiner.reid_loss.memory.counts'}
    assert all(torch.equal(value, state_dict[name]) for name, value in content['state_dict'].items())
    build_model().load_state_dict(content['state_dict'])  # strict

    run('publish_model', CONFIG, published, tmp_path / 'again', '--date', '20250601')
    again, = (tmp_path / 'again').iterdir()
    assert re.fullmatch(r'e2e_tiny_config_20250601-[0-9a-f]{8}\.pth', again.name)


@pytest.mark.parametrize('arguments', [(), ('--safetensors', )])
def test_a_published_file_runs_alone(run, tmp_path, capsys, monkeypatch, arguments):
    """With its config, classes and colours as plain data, and without what is private."""
    if arguments:
        pytest.importorskip('safetensors')
    monkeypatch.delenv('MMVC_TRUST_CHECKPOINTS', raising=False)
    cfg = tiny_config('DVISOnline', 'vps')
    cfg.work_dir, cfg.load_from = '/home/alice/work', '/home/alice/start.pth'
    cfg.test_dataloader.dataset.data_root = '/home/alice/data'
    cfg.model.feature_store = dict(folder='/home/alice/tmp')
    cfg.dump(tmp_path / 'config.py')
    weights = vivid_model(cfg).state_dict()
    torch.save(dict(state_dict=weights, meta=dict(cfg=cfg.pretty_text, hostname='alice-laptop')), tmp_path / 'own.pth')
    run('publish_model', tmp_path / 'config.py', tmp_path / 'own.pth', tmp_path / 'zoo', *arguments)
    published, = (tmp_path / 'zoo').iterdir()
    out = capsys.readouterr().out
    assert 'left out of the config: model.feature_store.folder (a path of this machine)' in out
    assert f'it runs alone: python -m mmvc.apis VIDEO --weights {published}' in out
    if not arguments:
        assert torch.load(published, weights_only=True)['meta']['cfg']  # text
    assert b'alice' not in published.read_bytes()
    frames = [np.full((64, 96, 3), 30 * index, np.uint8) for index in range(3)]
    one, other = (VideoSegInferencer(model, str(path), device='cpu', show_progress=False)
                  for model, path in ((tmp_path / 'config.py', tmp_path / 'own.pth'), (None, published)))
    assert 'cannot be read' not in ''.join(capsys.readouterr()), 'nothing in the file looks like code'
    assert other.dataset_meta == one.dataset_meta == dict(classes=tuple(CLASSES), palette=list(map(tuple, PALETTE)))
    assert other.task == 'vps'
    for ours, theirs in zip(one.stream(frames), other.stream(frames), strict=True):
        np.testing.assert_array_equal(ours.panoptic_seg, theirs.panoptic_seg)


def test_what_a_published_file_needs_is_said(run, trained, tmp_path, capsys):
    run('publish_model', CONFIG, trained[0], tmp_path / 'zoo')
    assert 'it needs its config beside it (--model), because the config has no test_dataloader' in (
        capsys.readouterr().out)


def test_publish_a_stage(run, trained, tmp_path, write_config):
    """Its name is in that of the file and in the file; the last stage is the default."""
    path, state_dict = trained
    small = dict(model=dict(type='DVISOnline', _remove_='refiner'))
    config = write_config(f'stages = dict(_delete_=True, small={small}, large={{}})')
    run('publish_model', config, path, tmp_path / 'large')
    assert next((tmp_path / 'large').iterdir()).name.startswith('config_large_20240131-')
    kept = {name: value for name, value in state_dict.items() if not name.startswith('refiner.')}
    torch.save(dict(state_dict=kept), path)
    run('publish_model', config, path, tmp_path / 'small', '--stage', 'small', '--date', '20240131')
    published, = (tmp_path / 'small').iterdir()
    assert published.name.startswith('config_small_20240131-')
    assert torch.load(published, weights_only=True)['meta']['stage'] == 'small'


def test_publish_as_safetensors(run, trained, tmp_path):
    """Written, read as a checkpoint with its classes, and published again as a file of torch."""
    pytest.importorskip('safetensors')
    path, state_dict = trained
    run('publish_model', CONFIG, path, tmp_path / 'zoo', '--safetensors')
    published, = (tmp_path / 'zoo').iterdir()
    assert re.fullmatch(r'e2e_tiny_config_20240131-[0-9a-f]{8}\.safetensors', published.name)
    content = CheckpointLoader.load_checkpoint(str(published), 'cpu')
    assert content['meta']['dataset_meta'] == dict(classes=['sky', 'sea']) and content['meta']['iter'] == 40
    build_model().load_state_dict(content['state_dict'])  # strict
    assert all(torch.equal(value, state_dict[name]) for name, value in content['state_dict'].items())
    run('publish_model', CONFIG, published, tmp_path / 'again')
    again, = (tmp_path / 'again').iterdir()
    assert again.suffix == '.pth' and torch.load(again, weights_only=True)['meta']['iter'] == 40


@pytest.mark.parametrize('arguments', [(), ('--safetensors', )])
def test_publish_in_half_precision(run, trained, tmp_path, arguments):
    path, state_dict = trained
    state_dict['head.cls_embed.bias'][0] = 1e-7  # stays: float16 would make it 1.2e-7
    torch.save(dict(state_dict=state_dict), path)
    run('publish_model', CONFIG, path, tmp_path / 'zoo', '--half', '--date', '20240131', *arguments)
    published, = (tmp_path / 'zoo').iterdir()
    weights = CheckpointLoader.load_checkpoint(str(published), 'cpu')['state_dict']
    for name, value in weights.items():
        halved = value.is_floating_point() and value.ndim > 1
        assert value.dtype == (torch.float16 if halved else state_dict[name].dtype)
        assert torch.equal(value, state_dict[name].to(value.dtype))
    model = build_model()
    model.load_state_dict(weights)  # strict
    assert {value.dtype for value in model.parameters()} == {torch.float32}

    torch.save(dict(state_dict=dict(state_dict, **{'head.mask_embed.0.weight': torch.full((32, 32), 7e4)})), path)
    message = error_of(run, 'publish_model', CONFIG, path, tmp_path / 'more', '--half')
    assert 'head.mask_embed.0.weight: too large for half precision' in message and 'without --half' in message
    assert not (tmp_path / 'more').exists()


def test_publish_a_folder(run, tmp_path):
    """The files of save_pretrained(), and what the author says of them; the same checkpoint gives the same file."""
    pytest.importorskip('safetensors')
    cfg = tiny_config('DVISOnline', 'vps')
    cfg.dump(tmp_path / 'config.py')
    torch.save(dict(state_dict=vivid_model(cfg).state_dict()), tmp_path / 'own.pth')
    (tmp_path / 'notes.md').write_text('Streets **only**.\n', encoding='utf-8')
    (tmp_path / 'numbers.json').write_text('{"vps/VPQ": 31.416, "vps/STQ": 2}')
    run('publish_model', tmp_path / 'config.py', tmp_path / 'own.pth', tmp_path / 'street', '--folder')
    folder, before = tmp_path / 'street', (tmp_path / 'street/model.safetensors').read_bytes()
    assert 'not stated' in (folder / 'README.md').read_text() and 'Numbers' not in (folder / 'README.md').read_text()
    run('publish_model', tmp_path / 'config.py', tmp_path / 'own.pth', folder, '--folder', '--license', 'cc-by-4.0',
        '--notes', tmp_path / 'notes.md', '--results', tmp_path / 'numbers.json')
    assert sorted(path.name for path in folder.iterdir()) == ['README.md', 'model.safetensors']
    assert (folder / 'model.safetensors').read_bytes() == before
    card = (folder / 'README.md').read_text()
    assert '**Licence of the weights:** cc-by-4.0\n\nStreets **only**.\n\n## Use' in card
    assert '| VPQ | 31.42 |\n| STQ | 2.00 |\n' in card and f"from_pretrained('{folder}')" in card
    assert VideoSegInferencer.from_pretrained(folder, device='cpu').task == 'vps'


def test_publish_refuses_what_is_no_card(run, trained, tmp_path, capsys):
    def error(*arguments):
        return error_of(run, 'publish_model', CONFIG, trained[0], tmp_path / 'zoo', '--folder', *arguments)

    assert 'must run alone, but the config has no test_dataloader' in error()
    assert 'license must be an identifier' in error('--license', 'My Licence')
    assert '"absent.json" does not exist: expected metrics by name' in error('--results', 'absent.json')
    (tmp_path / 'bad.json').write_text('{"vss/mIoU": "much"}')
    assert 'vss/mIoU is no number' in error('--results', tmp_path / 'bad.json')
    assert '--notes: "absent.md" cannot be read' in error('--notes', 'absent.md')
    for arguments, message in ((('--license', 'mit'), '--license is for the model card, which --folder writes'),
                               (('--folder', '--date', '20240131'), '--date is for the name of the file')):
        with pytest.raises(SystemExit):
            run('publish_model', CONFIG, trained[0], tmp_path / 'zoo', *arguments)
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'zoo').exists()


def test_publish_runs_no_code_unless_told_to(run, trained, tmp_path, monkeypatch):
    path, state_dict = trained
    monkeypatch.delenv('MMVC_TRUST_CHECKPOINTS', raising=False)
    torch.save(dict(state_dict=state_dict, meta=dict(config=argparse.Namespace())), path)
    assert 'argparse.Namespace' in error_of(run, 'publish_model', CONFIG, path, tmp_path / 'zoo')
    run('publish_model', CONFIG, path, tmp_path / 'zoo', '--trust-checkpoint')
    assert len(list((tmp_path / 'zoo').iterdir())) == 1


def test_converted_weights_can_be_published(run, source, tmp_path):
    run('dvispp_to_mmvc', source, tmp_path / 'model.pth')
    run('publish_model', CONFIG, tmp_path / 'model.pth', tmp_path / 'zoo')
    published, = (tmp_path / 'zoo').iterdir()
    assert torch.load(published, weights_only=True)['meta']['converted_from'] == 'DVIS++ offline'


def test_publish_refuses_what_is_not_a_trained_model(run, trained, tmp_path, write_config):
    path, state_dict = trained

    def error(content, config=CONFIG):
        torch.save(content, tmp_path / 'bad.pth')
        return error_of(run, 'publish_model', config, tmp_path / 'bad.pth', tmp_path / 'zoo')

    bad = dict(state_dict, **{'tracker.post_norm.bias': torch.full((64, ), float('nan'))})
    assert 'tracker.post_norm.bias: NaN or infinite' in error(dict(state_dict=bad))
    missing = {name: value for name, value in state_dict.items() if name != 'tracker.post_norm.bias'}
    assert 'tracker.post_norm.bias: not in the checkpoint' in error(dict(state_dict=missing))
    config = write_config('model = dict(num_classes=3)')
    assert 'head.cls_embed.bias: shape (11,)' in error(dict(state_dict=state_dict), config)
    assert 'has no "state_dict"' in error(dict(model=state_dict))
    path.write_bytes(path.read_bytes()[:1000])
    assert 'truncated' in error_of(run, 'publish_model', CONFIG, path, tmp_path / 'zoo')
    assert not (tmp_path / 'zoo').exists()


def test_publish_safetensors(run, trained, tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    run('publish_model', CONFIG, trained[0], tmp_path / 'zoo', '--safetensors')
    published, = (tmp_path / 'zoo').iterdir()
    assert re.fullmatch(r'e2e_tiny_config_20240131-[0-9a-f]{8}\.safetensors', published.name)
    build_model().load_state_dict(safetensors.load_file(published))  # strict


def test_publish_without_safetensors(run, trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    error = error_of(run, 'publish_model', CONFIG, trained[0], tmp_path / 'zoo', '--safetensors')
    assert 'pip install safetensors' in error and not (tmp_path / 'zoo').exists()


@pytest.mark.parametrize('tool', ['dvispp_to_mmvc', 'publish_model'])
def test_help_has_examples(run, capsys, tool):
    assert error_of(run, tool, '--help') == '0'
    assert 'examples:' in capsys.readouterr().out
