# Copyright (c) The mmvc contributors. All rights reserved.
"""Class names and palettes of the benchmarks, and the classes of COCO that correspond to them."""
