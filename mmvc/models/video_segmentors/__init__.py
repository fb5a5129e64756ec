# Copyright (c) The mmvc contributors. All rights reserved.
from .dvis import DVISOffline, DVISOnline
from .minvis import MinVIS
from .two_passes import TwoPassDistributedDataParallel

__all__ = ['DVISOffline', 'DVISOnline', 'MinVIS', 'TwoPassDistributedDataParallel']
