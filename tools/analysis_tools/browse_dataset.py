# Copyright (c) The mmvc contributors. All rights reserved.
"""Show a dataset: images, ground truth, and the patches that Masked Video Consistency hides.

By default, the tool shows clips of the training pipeline, augmented and masked as in training.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.browse import main

if __name__ == '__main__':
    main(prog='python tools/analysis_tools/browse_dataset.py')
