# Copyright (c) The mmvc contributors. All rights reserved.
"""Doubtful classes, decided by a multimodal model."""

from .asking import Asker
from .backends import (
    BackendError,
    MultimodalBackend,
    OpenAIBackend,
    RefusedError,
    TemporaryBackendError,
    TransformersBackend,
    UnreachableError,
)
from .correction import CorrectionSettings, Finding, Inquiry, correct_video
from .folders import Audit, correct_folders
from .groups import VSPW_GROUPS, AmbiguousGroup, GroupTable
from .questions import PROMPT, draw_picture, make_question, parse_answer
from .segments import Segment, VideoSegments

__all__ = [
    'PROMPT', 'VSPW_GROUPS', 'AmbiguousGroup', 'Asker', 'Audit', 'BackendError', 'CorrectionSettings', 'Finding',
    'GroupTable', 'Inquiry', 'MultimodalBackend', 'OpenAIBackend', 'RefusedError', 'Segment',
    'TemporaryBackendError', 'TransformersBackend', 'UnreachableError', 'VideoSegments', 'correct_folders',
    'correct_video', 'draw_picture', 'make_question', 'parse_answer'
]
