# Copyright (c) The mmvc contributors. All rights reserved.
"""Check that a dataset is complete, readable and consistent, before a training on it."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.check import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/check_dataset.py')
