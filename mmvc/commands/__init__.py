# Copyright (c) The mmvc contributors. All rights reserved.
"""The commands of ``mmvc``, one module each; the scripts in ``tools`` call the same functions.

Each module has ``main(argv, prog)``: the arguments (by default those of the process) and the name of the command in
its help. It imports only what its parser needs. After reading the arguments, ``main`` imports torch, mmengine and what
does the work. So help and wrong arguments take a fraction of a second. Long work is in a module beside the command,
such as ``training`` beside ``train``.
"""
