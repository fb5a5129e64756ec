# Copyright (c) The mmvc contributors. All rights reserved.
"""Look into data and models: the functions and classes that ``tools/analysis_tools`` call.

A tool only parses its command line. The work is done by a module of this package, which other code can import too:

- ``browse_dataset.py``: :mod:`mmvc.analysis.browsing` shows images, ground truth and masks of a dataset;
- ``compare_videos.py``: :mod:`mmvc.analysis.comparison` shows the predictions of several models side by side, which
  :mod:`mmvc.analysis.predictions` reads from files;
- ``masked_prediction.py``: :mod:`mmvc.analysis.masked_prediction` measures how well a model segments masked videos;
- ``show_attention.py``: :mod:`mmvc.analysis.attention_video` draws what :mod:`mmvc.analysis.attention` records.

:mod:`mmvc.analysis.pictures` writes the pictures and videos of all of them.
"""
