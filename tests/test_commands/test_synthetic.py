# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.commands.synthetic import parse_args
from mmvc.datasets.synthetic.presets import PRESETS


def test_a_preset_of_given_arguments_is_used(monkeypatch):
    """The arguments of a caller count, and not those of its process."""
    monkeypatch.setattr('sys.argv', ['pytest'])
    args = parse_args(['out', '--preset', 'context'])
    assert {name: getattr(args, name) for name in PRESETS['context']} == PRESETS['context']
