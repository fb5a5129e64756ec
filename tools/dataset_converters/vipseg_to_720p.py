# Copyright (c) The mmvc contributors. All rights reserved.
"""Convert the download of VIPSeg to 720p frames, panoptic colour masks and panoptic_gt_VIPSeg_{train,val}.json."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.convert_vipseg import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/vipseg_to_720p.py')
