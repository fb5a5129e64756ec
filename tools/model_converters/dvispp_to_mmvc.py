# Copyright (c) The mmvc contributors. All rights reserved.
"""Convert weights of DVIS++, of encoder-only models, and of what they build on to a checkpoint for mmvc."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.convert_weights import main

if __name__ == '__main__':
    main(prog='python tools/model_converters/dvispp_to_mmvc.py')
