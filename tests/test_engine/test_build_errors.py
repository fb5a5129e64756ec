# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from mmengine.registry import Registry
from mmengine.runner import Runner

from mmvc.engine import report_errors
from mmvc.registry import MODELS

PARTS = Registry('part')


@PARTS.register_module()
class Wheel:

    def __init__(self, size: int) -> None:
        if not 0 < size < 10:
            raise ValueError('too large')


@PARTS.register_module()
class Car:

    def __init__(self, wheel: dict, seats: int = 4) -> None:
        self.wheel = PARTS.build(wheel)


@PARTS.register_module()
class Van(Car):

    def __init__(self, load: int = 1, **kwargs) -> None:
        super().__init__(**kwargs)


def message_of(raise_error) -> str:
    """What a tool prints when a function raises an error."""
    with pytest.raises(SystemExit) as caught, report_errors():
        raise_error()
    return caught.value.code


def test_an_object_that_cannot_be_built_is_named_with_its_arguments():
    message = message_of(lambda: PARTS.build(dict(type='Car', wheel=dict(type='Wheel', size=99))))
    assert message.startswith('error: the config cannot be built: Wheel: ValueError: too large (raised in ')
    assert __file__ in message and message.endswith('for Wheel(size=99))') and '\n' not in message


def test_an_unknown_type():
    assert message_of(lambda: PARTS.build(dict(type='Boat'))) == \
        'error: the config cannot be built: there is no part "Boat"'
    assert message_of(lambda: PARTS.build(dict(type='Weel', size=1))).endswith('"Weel" (did you mean "Wheel"?)')
    assert message_of(lambda: MODELS.build(dict(type='mmvc.MinVSI'))).endswith(
        'there is no model "mmvc.MinVSI" (did you mean "MinVIS"?)')


@pytest.mark.parametrize('cfg, end', [
    (dict(type='Car', wheel=None, seat=2), 'Car has no argument "seat" (did you mean "seats"?)'),
    (dict(type=Car, wheel=None, seat=2), 'Car has no argument "seat" (did you mean "seats"?)'),
    (dict(type='Van', wheel=None, seat=2), 'Van has no argument "seat" (did you mean "seats"?)'),
    (dict(type='Van', wheel=None, lload=2), 'Van has no argument "lload" (did you mean "load"?)'),
    (dict(type='Car', wheel=None, wings=2), 'Car has no argument "wings"; its arguments are wheel, seats'),
])
def test_an_unknown_argument(cfg, end):
    assert message_of(lambda: PARTS.build(cfg)) == f'error: the config cannot be built: {end}'


def test_an_argument_of_something_else():
    """The error is about a call inside of the constructor, and the config has no such argument."""
    @PARTS.register_module(force=True)
    class Lorry:

        def __init__(self) -> None:
            Wheel(width=3)

    message = message_of(lambda: PARTS.build(dict(type='Lorry')))
    assert "Lorry: TypeError: " in message and "'width'" in message and __file__ in message


def test_an_optimizer_that_does_not_exist():
    """mmengine's error only says that None is not callable."""
    cfg = dict(type='OptimWrapper', optimizer=dict(type='AdmW', lr=1))
    runner = Runner.__new__(Runner)
    assert message_of(lambda: runner.build_optim_wrapper(cfg)).endswith(
        'there is no optimizer "AdmW" (did you mean "AdamW"?)')


def test_long_configs_are_shortened():
    message = message_of(lambda: PARTS.build(dict(type='Wheel', size='x' * 1000)))
    assert 'Wheel(size=' in message and '...)' in message and len(message) < 600


@pytest.mark.parametrize('builder', ['build_optim_wrapper', 'build_param_scheduler'])
def test_builders_of_the_runner_are_named(builder):
    runner = Runner.__new__(Runner)  # has no model: any error inside
    message = message_of(lambda: getattr(runner, builder)(dict(constructor='NoSuch', lr='fast')))
    assert f"{builder}(constructor='NoSuch', lr='fast')" in message
