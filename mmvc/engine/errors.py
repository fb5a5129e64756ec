# Copyright (c) The mmvc contributors. All rights reserved.


class UsageError(ValueError):
    """A wrong argument, config or work dir: the tools print its message in one line, without a traceback."""
