# Copyright (c) The mmvc contributors. All rights reserved.


class DataError(ValueError):
    """Something is wrong with a dataset's files, or with what a config says about them.

    The message names the file and the key; the tools print it in one line, without a traceback.
    """


class UsageError(ValueError):
    """A wrong argument, config or work dir: the tools print its message in one line, without a traceback."""


class CheckpointError(UsageError):
    """A checkpoint is broken, or is refused because reading it could run code."""
