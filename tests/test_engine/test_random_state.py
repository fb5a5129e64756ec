# Copyright (c) The mmvc contributors. All rights reserved.
import os
import random
import traceback
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dist import get_rank

from mmvc.engine.hooks import RandomStateHook
from mmvc.utils.random_state import get_random_state, seeded, set_random_state

RESUMED = SimpleNamespace(_resume=True)


def draw():
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.standard_normal(), torch.rand(()).item()]


def saved(hook, runner=RESUMED):
    """A checkpoint with the states."""
    checkpoint = {}
    hook.gather_for_checkpoint(runner)
    hook.before_save_checkpoint(runner, checkpoint)
    return checkpoint


def test_states_are_restored_in_the_middle_of_a_pair_of_normal_numbers(tmp_path):
    random.gauss(0, 1), np.random.standard_normal()  # both make two at a time and keep one
    torch.save(get_random_state(), tmp_path / 'state.pth')
    expected = draw()
    assert draw() != expected
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert draw() == expected


def test_cuda_state(device):
    state, expected = get_random_state(), torch.rand(3, device=device)
    torch.rand(5, device=device)
    assert ('cuda' in state) == torch.cuda.is_available()
    set_random_state({name: value.to(device) for name, value in state.items()})  # as loaded on a GPU
    assert torch.equal(torch.rand(3, device=device), expected)


def test_seeds_are_unrelated():
    def values(*entropy):
        with seeded(entropy):
            return draw()

    assert values(0, 1) == values(0, 1)
    assert len({str(values(*entropy)) for entropy in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2**31))}) == 5


class TestHook:

    def test_restored_before_the_first_step_only(self):
        checkpoint = saved(RandomStateHook())
        expected = draw()
        resumed = RandomStateHook()
        resumed.after_load_checkpoint(RESUMED, checkpoint)
        draw()  # the dataloader's iterator
        resumed.before_train_iter(RESUMED, 4)
        assert draw() == expected
        resumed.before_train_iter(RESUMED, 5)
        assert draw() != expected

    def test_weights_that_a_training_starts_from_bring_no_states(self):
        checkpoint = saved(RandomStateHook())
        expected = draw()
        hook = RandomStateHook()
        hook.after_load_checkpoint(SimpleNamespace(_resume=False), checkpoint)
        hook.before_train_iter(RESUMED, 0)
        assert draw() != expected

    def test_validation_leaves_no_trace(self):
        state = get_random_state()
        expected = draw()
        set_random_state(state)
        hook = RandomStateHook()
        hook.before_val_epoch(RESUMED)
        draw()
        hook.after_val_epoch(RESUMED)
        assert draw() == expected

    def test_resumed_right_before_a_validation_or_the_end(self):
        """The validation sees the states of the checkpoint, and so does a checkpoint that is written at once."""
        checkpoint = saved(RandomStateHook())
        expected = draw()
        hook = RandomStateHook()
        hook.after_load_checkpoint(RESUMED, checkpoint)
        draw()
        hook.before_val_epoch(RESUMED)
        assert draw() == expected
        hook.after_val_epoch(RESUMED)
        draw()
        again = saved(hook)['random_state'][0]
        assert all(torch.equal(again[name], value) for name, value in checkpoint['random_state'][0].items())

    @pytest.mark.parametrize('states, message', [([], '0 processes, this training has 1'), ([{}, {}], '2 processes')])
    def test_states_of_other_processes_are_left_out(self, states, message, monkeypatch):
        logged = []
        monkeypatch.setattr('mmvc.engine.hooks.random_state_hook.print_log', lambda text, **_: logged.append(text))
        hook = RandomStateHook()
        hook.after_load_checkpoint(RESUMED, dict(random_state=states))
        hook.before_train_iter(RESUMED, 0)
        assert len(logged) == 1 and message in logged[0]


def in_two_processes(function, folder):
    """Call a function in two forks that are connected over gloo."""
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/group', rank=rank,
                                                     world_size=2)
                function()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def test_every_rank_gets_its_own_state(tmp_path):
    def check():
        torch.manual_seed(get_rank())
        checkpoint = saved(RandomStateHook())  # the first rank's would be written
        expected = draw()
        one, other = checkpoint['random_state']
        assert not torch.equal(one['torch'], other['torch'])
        hook = RandomStateHook()
        hook.after_load_checkpoint(RESUMED, checkpoint)
        hook.before_train_iter(RESUMED, 0)
        assert draw() == expected

    in_two_processes(check, tmp_path)
