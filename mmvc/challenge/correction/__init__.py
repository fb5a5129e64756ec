# Copyright (c) The mmvc contributors. All rights reserved.
"""Category correction: a multimodal model decides the class of segments whose class is in doubt."""

from .asking import Asker
from .audit import Audit
from .backends import (
    BackendError,
    MultimodalBackend,
    OpenAIBackend,
    RefusedError,
    TemporaryBackendError,
    TransformersBackend,
    UnreachableError,
)
from .findings import Finding, Inquiry
from .folders import correct_folders
from .groups import VSPW_GROUPS, AmbiguousGroup, GroupTable
from .questions import PROMPT, draw_picture, make_question, parse_answer
from .segments import SegmentTrack, VideoSegments
from .video import CorrectionSettings, correct_video

__all__ = [
    'PROMPT', 'VSPW_GROUPS', 'AmbiguousGroup', 'Asker', 'Audit', 'BackendError', 'CorrectionSettings', 'Finding',
    'GroupTable', 'Inquiry', 'MultimodalBackend', 'OpenAIBackend', 'RefusedError', 'SegmentTrack',
    'TemporaryBackendError', 'TransformersBackend', 'UnreachableError', 'VideoSegments', 'correct_folders',
    'correct_video', 'draw_picture', 'make_question', 'parse_answer'
]
