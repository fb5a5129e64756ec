# Copyright (c) The mmvc contributors. All rights reserved.
"""Turn a training checkpoint into a file for a model zoo."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

from mmvc.commands.publish import main

if __name__ == '__main__':
    main(prog='python tools/model_converters/publish_model.py')
