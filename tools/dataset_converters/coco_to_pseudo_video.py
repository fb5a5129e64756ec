# Copyright (c) The mmvc contributors. All rights reserved.
"""Reduce COCO's instance annotations to the classes of a video dataset, for training."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.convert_coco import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/coco_to_pseudo_video.py')
