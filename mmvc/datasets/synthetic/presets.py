# Copyright (c) The mmvc contributors. All rights reserved.
"""Named settings, each of which makes one aspect of video segmentation hard."""

from typing import Any

#: name -> settings that differ from the defaults of :class:`SyntheticVideoConfig`
PRESETS: dict[str, dict[str, Any]] = dict(
    default=dict(),
    # only the surroundings reveal the class of half of the things
    context=dict(context_prob=0.5),
    # only the motion reveals it
    motion=dict(motion_prob=0.5, leave_and_return=False, camera_motion=0.3),
    # only the outline reveals it: colours and pattern are those of another class
    texture=dict(texture_prob=0.5),
    # most things show their class in one frame of four, so other frames must lend it to the rest
    glimpse=dict(glimpse_prob=0.8, leave_and_return=False, camera_motion=0.5),
    # things are often occluded by others
    occlusion=dict(occlusion_prob=0.8, num_things=(3, 5), thing_radius=(0.18, 0.30)),
    # the first thing class is twenty times as frequent as the last
    imbalance=dict(imbalance=20.0),
    # a mix of all of them, for ablations
    testbed=dict(context_prob=0.3, motion_prob=0.2, texture_prob=0.15, occlusion_prob=0.5, imbalance=3.0,
                 num_things=(3, 5), camera_motion=0.5))
