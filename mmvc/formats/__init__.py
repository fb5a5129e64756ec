# Copyright (c) The mmvc contributors. All rights reserved.
"""Layouts of datasets and predictions: names of files, schema, reading, checking and writing.

One module per layout; beside them what several layouts share: label maps, run-length encoding, checked JSON.
"""
