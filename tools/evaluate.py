# Copyright (c) The mmvc contributors. All rights reserved.
"""Score a folder of predictions of any model. Needs no model and no config."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.evaluate import main

if __name__ == '__main__':
    main(prog='python tools/evaluate.py')
