# Copyright (c) The mmvc contributors. All rights reserved.
class Stopped(Exception):
    """A tool ended with an error message."""
