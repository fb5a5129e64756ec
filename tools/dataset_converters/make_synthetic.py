# Copyright (c) The mmvc contributors. All rights reserved.
"""Write a synthetic dataset of labelled videos: no download, exact labels, any size."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.synthetic import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/make_synthetic.py')
