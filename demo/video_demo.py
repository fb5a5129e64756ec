# Copyright (c) The mmvc contributors. All rights reserved.
"""Segment videos, folders of frames, images or a camera; the same as ``python -m mmvc.apis``."""

from mmvc.apis.cli import main

if __name__ == '__main__':
    main()
