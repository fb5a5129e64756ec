# Copyright (c) The mmvc contributors. All rights reserved.
from .dvis import DVISOffline, DVISOnline
from .minvis import MinVIS

__all__ = ['DVISOffline', 'DVISOnline', 'MinVIS']
