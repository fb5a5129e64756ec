# Copyright (c) The mmvc contributors. All rights reserved.
"""Turn the export of an annotation tool into a dataset to train on."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.import_annotations import main

if __name__ == '__main__':
    main(prog='python tools/dataset_converters/from_annotations.py')
