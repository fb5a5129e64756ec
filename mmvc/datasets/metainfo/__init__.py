# Copyright (c) The mmvc contributors. All rights reserved.
"""Class names and palettes of the benchmarks, and the COCO classes that are among theirs."""
