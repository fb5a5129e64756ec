# Copyright (c) The mmvc contributors. All rights reserved.
"""Layouts of datasets and predictions: names of files, schema, reading, checking and writing.

Each layout has one module (``vspw``, ``vipseg``, ``youtube_vis``, ``coco``). The other modules are what layouts share:
label maps, run-length encoding and checked JSON. A new layout is a new module here.
"""
