# Copyright (c) The mmvc contributors. All rights reserved.
"""Readers of the files of annotation tools, and their conversion to the layouts of this package."""
