# Copyright (c) The mmvc contributors. All rights reserved.
"""Make the 480p version of VSPW from the full-resolution release."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.convert_vspw import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/vspw_to_480p.py')
