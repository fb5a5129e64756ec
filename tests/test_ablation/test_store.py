# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.ablation import Plan, Store
from tests.helpers.tiny_plan import write_plan


def test_a_look_at_the_state_does_not_change_a_training(tmp_path):
    training = Plan(write_plan(tmp_path), variants=['base'], seeds=[0]).ordered_trainings[-1]
    before = training.cfg.to_dict()
    store = Store(tmp_path / 'trainings')
    stage = store.stage(training)
    assert not store.is_trained(training) and not store.is_done(training) and store.cost(training) == {}
    assert stage.work_dir == str(tmp_path / 'trainings' / training.key / 'offline')
    assert training.cfg.to_dict() == before
