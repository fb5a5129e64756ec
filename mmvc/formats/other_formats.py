# Copyright (c) The mmvc contributors. All rights reserved.
"""What errors about files in other formats say about them."""

#: how files in other formats become a dataset
IMPORTER = 'mmvc convert annotations'
#: put behind the description of the expected file
OR_IMPORT = f' ({IMPORTER} imports the exports of annotation tools)'
