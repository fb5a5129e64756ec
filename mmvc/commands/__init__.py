# Copyright (c) The mmvc contributors. All rights reserved.
"""The commands of ``mmvc``, one module each; the scripts in ``tools`` call the same functions.

Each module has ``main(argv, prog)``: the arguments (by default those of the process) and the name of the command in
its help.
"""
