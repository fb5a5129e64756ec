# Copyright (c) The mmvc contributors. All rights reserved.
"""Named settings under which a video model fails in a known way."""

from typing import Any

#: Name -> settings that differ from those of :class:`SyntheticVideoConfig`.
PRESETS: dict[str, dict[str, Any]] = dict(
    default=dict(),
    # the class of half of the things is to be seen from what is around them only
    context=dict(context_prob=0.5),
    # ... from how they move only
    motion=dict(motion_prob=0.5, leave_and_return=False, camera_motion=0.3),
    # ... from their outline only: colours and pattern are another class's
    texture=dict(texture_prob=0.5),
    # things are hidden by others for much of the time
    occlusion=dict(occlusion_prob=0.8, num_things=(3, 5), thing_radius=(0.18, 0.30)),
    # the first class of things comes twenty times as often as the last
    imbalance=dict(imbalance=20.0),
    # a bit of everything: what the ablations are run on
    testbed=dict(context_prob=0.3, motion_prob=0.2, texture_prob=0.15, occlusion_prob=0.5, imbalance=3.0,
                 num_things=(3, 5), camera_motion=0.5))
