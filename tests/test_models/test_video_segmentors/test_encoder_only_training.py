# Copyright (c) The mmvc contributors. All rights reserved.
"""Training of encoder-only models: what is frozen, recomputed, cached, masked and resumed.

Chunks are in ``test_truncated_propagation.py``.
"""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from mmvc.engine.hooks import ActivationCheckpointHook
from mmvc.engine.sharded_strategy import transformer_layers
from tests.helpers.checkpoint_comparison import assert_same_training, differences
from tests.helpers.tiny_encoder_only import KINDS, LVMT, PMT, VIDEOMT, build_model, image_stage
from tests.helpers.tiny_models import Clips, make_batch

OMA = dict(query_dropping=dict(drop_ratio=0.9, threshold=0.0))
MASKED_IMAGES = dict(image_stage('videomt'), masked_attention=dict())
CASES = dict(
    {name: dict(config) for name, config in KINDS.items()},
    images=image_stage('pmt'),
    oma=dict(LVMT, **OMA),
    masked=MASKED_IMAGES)


def gradients_of(model, batch, seed=1):
    """Losses and gradients of a batch."""
    torch.manual_seed(seed)
    model.zero_grad()
    losses = model(**model.data_preprocessor(deepcopy(batch), training=True), mode='loss')
    sum(losses.values()).backward()
    return ({name: loss.detach() for name, loss in losses.items()},
            {name: p.grad for name, p in model.named_parameters() if p.grad is not None})


def assert_same(actual, expected, rtol=1e-5):
    assert actual.keys() == expected.keys() and expected
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=rtol, atol=1e-6, msg=lambda m, n=name: f'{n}: {m}')


# every parameter learns

@pytest.mark.parametrize('case', CASES)
def test_every_trained_parameter_moves_and_the_loss_falls(case, set_iteration):
    set_iteration(0, 100)
    model = build_model(CASES[case]).train()
    optimizer = build_optim_wrapper(
        model, ConfigDict(type='OptimWrapper', clip_grad=dict(max_norm=1.0), optimizer=dict(type='AdamW', lr=3e-3)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    batch = make_batch(1, 3)
    values = [float(model.train_step(deepcopy(batch), optimizer)['loss']) for _ in range(15)]
    for name, parameter in model.named_parameters():
        is_trained = not (name.startswith('encoder.') and model.frozen_parts)
        assert torch.equal(parameter, before[name]) != is_trained, name
    assert sum(values[-3:]) < 0.9 * sum(values[:3])


# frozen encoder

@pytest.mark.parametrize('kind', ['pmt', 'lvmt'])
def test_a_frozen_encoder_stays_in_evaluation_mode(kind):
    model = build_model(kind).train()
    assert not any(module.training for module in model.encoder.modules())
    assert all(module.training for module in model.decoder.modules())
    seen = []
    for module in model.encoder.blocks:
        module.register_forward_hook(lambda m, args, out: seen.append((out.requires_grad, torch.is_grad_enabled())))
    optimizer = build_optim_wrapper(
        model, ConfigDict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)))
    model.train_step(make_batch(1, 3), optimizer)
    assert seen and set(seen) == {(False, False)}
    assert all(p.grad is None for p in model.encoder.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    with_state = {names[id(p)] for p in optimizer.optimizer.state}
    assert with_state and not any(name.startswith('encoder.') for name in with_state)


@pytest.mark.parametrize('quirks', [False, True])
def test_rotary_positions_of_a_frozen_encoder_are_rescaled_with_official_quirks_only(quirks, monkeypatch):
    model = build_model('pmt', official_quirks=quirks).train()
    seen = {}
    for name, rotary in dict(encoder=model.encoder.rotary, decoder=model.decoder.rotary).items():
        rotary.register_forward_pre_hook(
            lambda m, args, name=name: seen.setdefault(name, []).append(args[2]))
    model(**model.data_preprocessor(make_batch(1, 2), True), mode='loss')
    assert all(scale is not None for scale in seen['decoder'])
    assert all((scale is not None) == quirks for scale in seen['encoder'])
    if quirks:
        assert len({scale.item() for scale in seen['decoder'] + seen['encoder']}) == 1
    seen.clear()
    model.eval().segment(torch.randn(1, 2, 3, 64, 96))
    assert all(scale is None for scale in seen['decoder'] + seen['encoder'])


def test_a_trained_encoder_shares_the_scale_of_rotary_positions():
    model = build_model(VIDEOMT, encoder=dict(PMT['encoder'])).train()
    scales = []
    model.encoder.rotary.register_forward_pre_hook(lambda m, args: scales.append(args[2].item()))
    model(**model.data_preprocessor(make_batch(2, 3), True), mode='loss')
    assert len(scales) > 1 and len(set(scales)) == 1


def test_batch_norms_learn_from_all_tokens_of_all_frames():
    model = build_model('pmt').train()
    sizes = []
    model.decoder.level_norms[0].register_forward_pre_hook(lambda m, args: sizes.append(tuple(args[0].shape)))
    model(**model.data_preprocessor(make_batch(2, 3), True), mode='loss')
    assert sizes == [(2 * 3 * (1 + 2 + 4 * 6), 32)]


# activation checkpointing

RECOMPUTED = dict(videomt=4, pmt=3, lvmt=3, images=3, oma=3, masked=4)


@pytest.mark.parametrize('case', CASES)
def test_recomputed_blocks_give_the_same_gradients(case, set_iteration):
    """Also with masks that are drawn at random, which blocks must not draw again."""
    set_iteration(30, 100)  # in the middle of the annealing
    plain = build_model(CASES[case]).train()
    frugal = deepcopy(plain)
    ActivationCheckpointHook().before_train(SimpleNamespace(model=frugal))
    wrapped = [name for name, module in frugal.named_modules() if 'forward' in vars(module)]
    part = 'encoder.blocks.' if case in ('videomt', 'masked') else 'decoder.blocks.'
    assert wrapped == [f'{part}{i}' for i in range(RECOMPUTED[case])]
    batch = make_batch(2, 3)
    (losses, gradients), (frugal_losses, frugal_gradients) = (gradients_of(m, batch) for m in (plain, frugal))
    assert_same(frugal_losses, losses)
    assert_same(frugal_gradients, gradients)


@pytest.mark.parametrize('kind', KINDS)
def test_blocks_are_used_through_forward_only(kind):
    """Sharding gathers the weights of a block while its ``forward`` runs."""
    model = build_model(kind).train()
    running, is_inside = [], []
    blocks = [module for module in model.modules() if type(module) in transformer_layers()]
    assert len(blocks) == len(model.encoder.blocks) + len(getattr(model.decoder, 'blocks', ()))
    for block in blocks:
        block.register_forward_pre_hook(lambda m, args: running.append(m))
        block.register_forward_hook(lambda m, args, out: running.remove(m))
        for child in list(block.modules())[1:]:
            child.register_forward_pre_hook(lambda m, args: is_inside.append(bool(running)))
    model(**model.data_preprocessor(make_batch(1, 2), True), mode='loss')
    assert is_inside and all(is_inside)


# feature cache

@pytest.mark.parametrize('kind', ['pmt', 'lvmt'])
def test_cached_features_give_the_same_losses(kind, tmp_path):
    torch.manual_seed(0)
    plain = build_model(kind).train()
    model = build_model(kind, feature_cache=dict(folder=str(tmp_path), min_free_gb=0)).train()
    model.load_state_dict(plain.state_dict())
    batch = make_batch(2, 5)
    frames = []
    model.encoder.blocks[0].register_forward_hook(lambda m, args, out: frames.append(len(out)))
    losses, gradients = gradients_of(plain, batch)
    for hits, misses, encoded in ((0, 10, 10), (10, 10, 1), (20, 10, 0)):  # the second time, one frame to compare with
        frames.clear()
        cached_losses, cached_gradients = gradients_of(model, batch)
        assert_same(cached_losses, losses)
        assert_same(cached_gradients, gradients)
        assert (model.feature_cache.hits, model.feature_cache.misses, sum(frames)) == (hits, misses, encoded)


def test_messages_of_the_cache_name_the_setting(tmp_path):
    cache = dict(folder=str(tmp_path), min_free_gb=0)
    batch = make_batch(1, 2)
    gradients_of(build_model('pmt', feature_cache=cache).train(), batch)
    other = build_model('pmt', feature_cache=cache).train()
    with pytest.raises(ValueError, match='^feature_cache: .*other weights than this encoder has.*delete the folder'):
        gradients_of(other, batch)
    with pytest.raises(ValueError, match="^feature_cache: dtype is one of .*got 'int8'"):
        build_model('pmt', feature_cache=dict(cache, dtype='int8'))
    with pytest.raises(ValueError, match='`feature_cache` needs an encoder whose features stay the same'):
        build_model('pmt', feature_cache=cache, freeze_encoder=False)
    with pytest.raises(ValueError, match='set freeze_encoder=True and official_quirks=False'):
        build_model('pmt', feature_cache=cache, official_quirks=True)


# query dropping (OMA) and masked attention

def record_masks(model):
    """Attention masks of the joint blocks, in the order of the calls."""
    masks = []
    for block in model.decoder.joint_blocks(model.encoder):
        block.register_forward_pre_hook(lambda m, args: masks.append(args[2]))
    return masks


def test_query_dropping_acts_in_training_only():
    model = build_model(LVMT, query_dropping=dict(drop_ratio=1.0, threshold=0.0), chunk_size=None).train()
    masks = record_masks(model)
    data = model.data_preprocessor(make_batch(2, 3), True)
    model(**data, mode='loss')
    assert len(masks) == 3 * 3  # blocks and frames
    for mask in masks:
        assert mask.shape == (2, 1, 1, 12 + 1 + 2 + 24)
        assert not mask[..., :12].any() and mask[..., 12:].all()  # all queries count as background
    masks.clear()
    model.eval()
    with torch.no_grad():
        outputs = model.segment(data['inputs'])
        model.query_dropping = None
        expected = model.segment(data['inputs'])
    assert masks and all(mask is None for mask in masks)
    assert all(torch.equal(outputs[name], value) for name, value in expected.items())


def test_query_dropping_keeps_the_keys_of_objects():
    model = build_model(LVMT, query_dropping=dict(drop_ratio=1.0, threshold=0.5), chunk_size=None).train()
    nn.init.zeros_(model.head.cls_embed.weight)
    nn.init.zeros_(model.head.cls_embed.bias)
    masks = record_masks(model)
    data = model.data_preprocessor(make_batch(1, 2), True)
    model(**data, mode='loss')
    assert all(mask.all() for mask in masks)  # the empty class has a probability of 1 / 11
    masks.clear()
    nn.init.constant_(model.head.cls_embed.bias[-1:], 9.0)
    model(**data, mode='loss')
    assert not any(mask[..., :12].any() for mask in masks)


@pytest.mark.parametrize('iteration, expected', [(0, [True, True]), (40, [False, True]), (90, [False, False])])
def test_masked_attention_follows_the_iteration(iteration, expected, set_iteration):
    """Blocks stop masking one after the other; the patches outside of a query's mask are hidden from it alone."""
    settings = dict(MASKED_IMAGES, masked_attention=dict(starts=(0.2, 0.6), ends=(0.3, 0.8)))
    model = build_model(settings).train()
    masks = record_masks(model)
    set_iteration(iteration, 100)
    data = model.data_preprocessor(make_batch(1, 2), True)
    model(**data, mode='loss')
    assert [mask is not None for mask in masks] == expected
    for mask in (mask for mask in masks if mask is not None):
        assert mask.shape == (2, 1, 39, 39) and mask[:, :, 12:].all() and mask[:, :, :, :15].all()
        assert not mask[:, :, :12, 15:].all()
    masks.clear()
    model.eval().segment(data['inputs'])
    assert masks and all(mask is None for mask in masks)


@pytest.mark.parametrize('case', ['oma', 'masked'])
def test_masks_are_not_computed_under_no_grad(case, set_iteration):
    """Autocast before torch 2.10 keeps weights that it casts there, and they then get no gradient."""
    set_iteration(0, 100)
    model = build_model(CASES[case]).train()
    seen = []
    for module in (model.head.cls_embed, model.head.mask_embed, model.decoder.final_norm(model.encoder)):
        module.register_forward_pre_hook(lambda m, args: seen.append(torch.is_grad_enabled()))
    _, gradients = gradients_of(model, make_batch(1, 2))
    assert seen and all(seen) and gradients['head.cls_embed.weight'].any()


# mixed precision

@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('case', CASES)
def test_half_precision_is_close(case, dtype, set_iteration):
    set_iteration(0, 100)
    model = build_model(CASES[case]).train()
    batch = make_batch(2, 3)
    losses, gradients = gradients_of(model, batch)
    with torch.autocast('cpu', dtype=dtype):
        half_losses, half_gradients = gradients_of(model, batch)
    assert all(loss.dtype == torch.float32 for loss in half_losses.values())
    total, half_total = (torch.cat([g.flatten() for g in grads.values()]) for grads in (gradients, half_gradients))
    assert half_total.isfinite().all() and gradients.keys() == half_gradients.keys()
    assert torch.cosine_similarity(total, half_total, dim=0) > 0.9


# resume

@pytest.mark.parametrize('case', ['lvmt', 'oma', 'masked', 'images'])
def test_a_resumed_training_ends_the_same(case, tmp_path, forget_runs):
    """Bit for bit: chunks, random scales, drawn masks, batch norms, and an annealing that goes on where it was."""
    def train(name, load_from=None):
        forget_runs()
        runner = Runner(
            ConfigDict(CASES[case]), str(tmp_path / name), default_scope='mmvc', experiment_name=name,
            randomness=dict(seed=0),
            train_dataloader=dict(batch_size=2, num_workers=0, dataset=Clips(5),
                                  sampler=dict(type='InfiniteSampler')),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=4, val_interval=9),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
            default_hooks=dict(random_state=dict(type='RandomStateHook'),
                               checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=1)),
            visualizer=dict(type='VideoSegLocalVisualizer'),
            load_from=load_from, resume=load_from is not None)
        runner.train()
        return torch.load(tmp_path / name / 'iter_4.pth', weights_only=False)

    whole = train('whole')
    start = torch.load(tmp_path / 'whole/iter_2.pth', weights_only=False)
    assert differences(start['state_dict'], whole['state_dict'])
    assert_same_training(train('resumed', str(tmp_path / 'whole/iter_2.pth')), whole)
