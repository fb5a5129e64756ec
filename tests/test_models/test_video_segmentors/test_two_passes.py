# Copyright (c) The mmvc contributors. All rights reserved.
"""The "sum" in two backward passes: the gradients of one, the memory of one pass."""

from ast import literal_eval
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mmvc.models.video_segmentors import BaseVideoSegmentor, TwoPassDistributedDataParallel, base_video_segmentor
from tests.helpers.masked_clips import mask_clips
from tests.helpers.saved_tensors import peak_of_saved_tensors
from tests.helpers.tiny_models import STAGES, build_model, make_batch


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(0)  # the transforms draw from numpy's generator


def sum_batch(clips=1):
    return mask_clips(make_batch(clips), [dict(type='RandomPatchMask', mode='sum')] * clips)


def wrapper(model, **kwargs):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return OptimWrapper(torch.optim.SGD(parameters, lr=1.0), **kwargs)


def one_graph_step(model, batch, optim_wrapper):
    """The step of mmengine's model and of its wrappers: a single backward of the sum."""
    return BaseModel.train_step(model, batch, optim_wrapper)


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize('stage', STAGES)
def test_gradients_and_log_are_those_of_the_sum(stage):
    torch.manual_seed(0)
    model = build_model(stage).train()
    model.masked_loss_weight = 0.25
    both = []
    for step in (one_graph_step, type(model).train_step):
        copy = deepcopy(model)
        optim_wrapper = wrapper(copy, accumulative_counts=2)  # no update yet: the gradients stay
        optim_wrapper.initialize_count_status(copy, 0, 2)
        torch.manual_seed(1)
        both.append((step(copy, deepcopy(sum_batch()), optim_wrapper), gradients(copy)))
        np.random.seed(0)
    (expected_log, expected), (log, actual) = both
    assert actual.keys() == expected.keys() and expected
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, rtol=1e-6, atol=1e-6, msg=lambda m, n=name: f'{n}: {m}')
    assert log.keys() == expected_log.keys() and any(name.startswith('masked.') for name in log)
    for name, value in expected_log.items():
        torch.testing.assert_close(log[name], value.detach(), rtol=1e-6, atol=1e-6)
    assert not any(value.requires_grad for value in log.values())


class Tiny(BaseModel):
    """Two losses of a weight: of the clean input, and of the masked one. Follows the passes of the segmentors."""

    def __init__(self):
        super().__init__(data_preprocessor=dict(type='BaseDataPreprocessor'))
        self.weight = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
        self.passes, self.times_asked = [], 0

    def agree_on_passes(self, data_samples):
        self.times_asked += 1
        return ('clean', ) if data_samples is None else ('clean', 'masked')

    def chunks(self, inputs):
        return [None]

    def forward(self, inputs, data_samples=None, mode='loss', passes=('clean', 'masked'), chunk=None):
        assert mode == 'loss'
        self.passes.append(passes)
        clean = dict(loss_a=(self.weight * inputs).sum())
        masked = {'masked.loss_a': (self.weight.square() * inputs).sum()}
        return {**(clean if 'clean' in passes else {}), **(masked if 'masked' in passes else {})}


def tiny_data(x, y):
    return dict(inputs=torch.tensor([x, y]), data_samples=['masked'])


def two_pass_step(model, data, optim_wrapper):
    from mmvc.models.video_segmentors.two_passes import train_pass_by_pass
    return train_pass_by_pass(model, model, data, optim_wrapper)


@pytest.mark.parametrize('step', [one_graph_step, two_pass_step])
def test_accumulation_counts_iterations_not_passes(step):
    model = Tiny()
    optim_wrapper = wrapper(model, accumulative_counts=2)
    optim_wrapper.initialize_count_status(model, 0, 5)
    seen = [model.weight.tolist()]
    for _ in range(5):
        step(model, tiny_data(0.25, 0.5), optim_wrapper)
        seen.append(model.weight.tolist())
    # an update after iterations 2, 4 and the last one: mean gradient x (1 + 2 w)
    first = [2 - 0.25 * (1 + 4), 3 - 0.5 * (1 + 6)]
    assert seen[1] == seen[0] == [2, 3] and seen[2] == seen[3] == pytest.approx(first)
    assert seen[4] != seen[3] and seen[5] != seen[4]


@pytest.mark.parametrize('step', [one_graph_step, two_pass_step])
def test_clipping_sees_the_summed_gradient(step):
    model = Tiny()
    log = step(model, tiny_data(3.0, 0.0), wrapper(model, clip_grad=dict(max_norm=1.0)))  # gradient 3 + 12 = 15
    assert model.weight.tolist() == pytest.approx([1.0, 3.0])
    assert log['loss'] == 6 + 12 == log['loss_a'] + log['masked.loss_a']


class ScalingWrapper(OptimWrapper):
    """Scales the loss as mixed precision does, and the gradients back before the step."""

    def backward(self, loss, **kwargs):
        super().backward(1024 * loss, **kwargs)

    def step(self, **kwargs):
        for group in self.optimizer.param_groups:
            for parameter in group['params']:
                parameter.grad /= 1024
        super().step(**kwargs)


def test_both_passes_are_scaled():
    model = Tiny()
    two_pass_step(model, tiny_data(0.25, 0.0), ScalingWrapper(torch.optim.SGD(model.parameters(), lr=1.0)))
    assert model.weight.tolist() == pytest.approx([2 - 0.25 * 5, 3])


def test_without_a_second_pass_the_step_is_ordinary():
    model = Tiny()
    two_pass_step(model, dict(inputs=torch.ones(2), data_samples=None), wrapper(model))
    assert model.passes == [('clean', )] and model.times_asked == 1


@pytest.mark.parametrize('step', [one_graph_step, BaseVideoSegmentor.train_step])
@pytest.mark.parametrize('other_rank_masks', [False, True])
def test_ranks_agree_once_per_step(monkeypatch, step, other_rank_masks):
    """A rank without patch masks makes the masked pass if another rank does, and all ask each other just once."""
    asked = []

    def of_two_ranks(flag, op):
        asked.append(op)
        flag.fill_(max(float(flag), other_rank_masks))

    monkeypatch.setattr(base_video_segmentor, 'get_world_size', lambda: 2)
    monkeypatch.setattr(base_video_segmentor, 'all_reduce', of_two_ranks)
    model = build_model('MinVIS').train()
    log = step(model, make_batch(1), wrapper(model))
    assert asked == ['max']
    assert any(name.startswith('masked.') for name in log) == other_rank_masks


def test_memory_is_that_of_one_pass():
    model = build_model('MinVIS').train()
    switch = mask_clips(make_batch(1), [dict(type='RandomPatchMask', prob=1.0)])

    def peak(step, batch):
        copy = deepcopy(model)
        return peak_of_saved_tensors(lambda: step(copy, batch, wrapper(copy)))

    one_pass = peak(one_graph_step, switch)
    one_graph = peak(one_graph_step, sum_batch())
    two_passes = peak(type(model).train_step, sum_batch())
    assert one_graph > 1.8 * one_pass
    assert two_passes < 1.1 * one_pass


def train_on_a_rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    results = {}
    for wrapper_type in (MMDistributedDataParallel, TwoPassDistributedDataParallel):
        for accumulate in (1, 2):
            model = wrapper_type(module=Tiny(), broadcast_buffers=False)
            all_reduced = []
            model.register_comm_hook(all_reduced, count_and_reduce)
            optim_wrapper = wrapper(model, accumulative_counts=accumulate)
            optim_wrapper.initialize_count_status(model, 0, 4)
            for iteration in range(4):
                model.train_step(tiny_data(0.1 * (rank + 1), 0.05 * iteration), optim_wrapper)
            results[wrapper_type.__name__, accumulate] = dict(
                weight=model.module.weight.tolist(), passes=model.module.passes, reduced=len(all_reduced))
    Path(folder, f'{rank}.txt').write_text(repr(results))
    torch.distributed.destroy_process_group()


def count_and_reduce(all_reduced, bucket):
    all_reduced.append(bucket.index())
    future = torch.distributed.all_reduce(bucket.buffer() / 2, async_op=True).get_future()
    return future.then(lambda done: done.value()[0])


@pytest.mark.slow
def test_two_ranks_add_their_gradients_up_once(tmp_path):
    mp.spawn(train_on_a_rank, (str(tmp_path), ), nprocs=2)
    ranks = [literal_eval((tmp_path / f'{rank}.txt').read_text()) for rank in range(2)]
    for accumulate in (1, 2):
        expected, *others = [results[kind, accumulate] for kind in
                             ('MMDistributedDataParallel', 'TwoPassDistributedDataParallel') for results in ranks]
        assert expected['weight'] != [2, 3] and expected['passes'] == [('clean', 'masked')] * 4
        assert others[-1]['passes'] == [('clean', ), ('masked', )] * 4
        for one in others:
            assert one['weight'] == pytest.approx(expected['weight'], abs=1e-6)
            assert one['reduced'] == expected['reduced'] == 4 // accumulate
