# Copyright (c) The mmvc contributors. All rights reserved.
import logging

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import checkpoint

from mmvc.engine.console import short_console

LOOKED_UP = [
    '\n------------------------------\nSystem environment:\n    sys.platform: linux', 'Config:\na = 1',
    'Hooks will be executed in the following order:\nbefore_run:',
    'paramwise_options -- backbone.conv1.weight:lr=0.1', 'Exp name: segmenter_20300101',
]
SHOWN = ['Iter(train) [2/6]  lr: 1.1837e-04', 'VSSMetric: 2 videos\n+---+', 'Saving checkpoint at 2 iterations']


def log(name, folder, verbose):
    """Log to a new logger with a file; returns what the file has."""
    with short_console(verbose):
        logger = MMLogger.get_instance(name, log_file=str(folder / 'a.log'))
        for message in LOOKED_UP + SHOWN:
            logger.info(message)
        logger.warning('backbone.conv1.weight is skipped since its requires_grad=False')
        logger.warning('the loss is NaN')
        checkpoint.print_log('missing keys in source state_dict: tracker.weight', None, logging.WARNING)
        checkpoint.print_log('a message for a logger', logger)
    return (folder / 'a.log').read_text()


@pytest.mark.parametrize('verbose', [False, True])
def test_the_file_has_everything_and_the_console_what_is_read(tmp_path, capsys, verbose):
    content = log(f'run-{verbose}', tmp_path, verbose)
    printed = capsys.readouterr().out
    for message in [*LOOKED_UP, 'is skipped since its requires_grad=False']:
        assert message in content and (message in printed) == verbose
    for message in [*SHOWN, 'the loss is NaN', 'a message for a logger']:
        assert message in content and message in printed
    assert 'missing keys' in (printed if verbose else content)
    assert ('missing keys' in printed) == verbose


def test_a_logger_that_is_there_is_short_too_and_then_as_before(capsys):
    logger = MMLogger.get_instance('old')
    before = MMLogger.__init__, checkpoint.print_log
    with short_console():
        logger.info('Config:\na = 1')
    assert capsys.readouterr().out == ''
    assert (MMLogger.__init__, checkpoint.print_log) == before
    logger.info('Config:\na = 1')
    MMLogger.get_instance('new').info('Config:\nb = 1')
    assert capsys.readouterr().out.count('Config:') == 2
