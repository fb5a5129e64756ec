# Copyright (c) The mmvc contributors. All rights reserved.
"""Train a model, or all stages of one."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.train import main

if __name__ == '__main__':
    main(prog='python tools/train.py')
