# Copyright (c) The mmvc contributors. All rights reserved.
"""Segment videos, folders of frames, images or a camera; the same as ``python -m mmvc.apis``."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.apis.cli import main

if __name__ == '__main__':
    main()
