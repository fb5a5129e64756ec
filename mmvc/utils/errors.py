# Copyright (c) The mmvc contributors. All rights reserved.


class DataError(ValueError):
    """A dataset's files are damaged, or do not match the config.

    The message names the file and the key. The tools print it in one line, without a traceback.
    """


class UsageError(ValueError):
    """An argument, a config or a work dir is wrong. The tools print the message in one line, without a traceback."""


class CheckpointError(UsageError):
    """A checkpoint is broken, or loading it could run code."""
