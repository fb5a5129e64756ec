# Copyright (c) The mmvc contributors. All rights reserved.
import errno

import pytest
from mmengine.registry import Registry
from mmengine.runner import Runner

from mmvc.engine import report_errors
from mmvc.utils.errors import DataError, UsageError

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


def message_of(raise_error) -> str:
    """What a tool prints when a function raises an error."""
    with pytest.raises(SystemExit) as caught, report_errors():
        raise_error()
    return caught.value.code


def test_an_object_that_cannot_be_built_is_named_with_its_arguments():
    message = message_of(lambda: PARTS.build(dict(type='Car', wheel=dict(type='Wheel', size=99))))
    assert message.startswith('error: the config cannot be built: Wheel(size=99): ValueError: too large (raised in ')
    assert __file__ in message and '\n' not in message


def test_unknown_types_and_arguments_are_named():
    assert 'Boat()' in message_of(lambda: PARTS.build(dict(type='Boat')))
    message = message_of(lambda: PARTS.build(dict(type=Car, wheel=None, wings=2)))
    assert "Car(wheel=None, wings=2): TypeError" in message


def test_long_configs_are_shortened():
    message = message_of(lambda: PARTS.build(dict(type='Wheel', size='x' * 1000)))
    assert 'Wheel(size=' in message and '...)' in message and len(message) < 600


@pytest.mark.parametrize('builder', ['build_optim_wrapper', 'build_param_scheduler'])
def test_builders_of_the_runner_are_named(builder):
    runner = Runner.__new__(Runner)  # has no model: any error inside
    message = message_of(lambda: getattr(runner, builder)(dict(constructor='NoSuch', lr='fast')))
    assert f"{builder}(constructor='NoSuch', lr='fast')" in message


@pytest.mark.parametrize('error', [
    UsageError('give a number'), DataError('file "a" is damaged'), OSError(errno.EACCES, 'Permission denied', 'a')])
def test_errors_that_the_user_can_mend_are_one_line(error):

    def fail():
        raise error

    assert message_of(fail) == f'error: {error}'


def test_a_full_disk_says_what_to_do():

    def fail():
        raise OSError(errno.ENOSPC, 'No space left on device', 'iter_2.pth')

    message = message_of(fail)
    assert 'iter_2.pth' in message and 'Free some space' in message and '--resume' in message


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError, match='bug'), report_errors():
        PARTS.build(dict(type='Wheel', size=3))
        raise KeyError('bug')


def test_mmengine_is_as_before_afterwards():
    before = Registry.build, Runner.build_optim_wrapper
    with report_errors():
        pass
    message_of(lambda: PARTS.build(dict(type='Wheel', size=99)))
    assert (Registry.build, Runner.build_optim_wrapper) == before
    with pytest.raises(ValueError, match='too large'):
        PARTS.build(dict(type='Wheel', size=99))
