# Copyright (c) The mmvc contributors. All rights reserved.
"""Export an online model as a graph."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.export import main

if __name__ == '__main__':
    main(prog='python tools/deployment/export.py')
