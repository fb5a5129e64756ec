# Copyright (c) The mmvc contributors. All rights reserved.
"""The challenge solution of arXiv 2406.04979: choosing between models, correcting categories, and the whole pipeline.

Its test-time voting is a model: see :mod:`mmvc.models.tta`.
"""
