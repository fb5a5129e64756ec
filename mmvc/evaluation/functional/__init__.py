# Copyright (c) The mmvc contributors. All rights reserved.
"""Metrics as pure functions and streaming accumulators (numpy only, no registry)."""

from .average_precision import MatchedTracks, category_scores, match_tracks, track_scores
from .fragmentation import count_fragments
from .hota import HOTACounts, add_hota, count_hota, hota_scores
from .identity import count_switches, main_labels
from .idf1 import IDCounts, add_identities, count_identities, identity_scores
from .jf import boundary_accuracy, boundary_map, jf_scores, object_statistics, track_statistics
from .occlusion import occlusion_regions, pixels_of
from .panoptic import PanopticPair, SegmentClass, compare_panoptic
from .semantic import ConfusionMatrix, majority_class_baseline, per_class_iou, semantic_scores, video_miou
from .sparse import SparseCounts
from .stq import SegmentationTrackingQuality, STQCounts, segmentation_quality, stq
from .summary import (
    STQ_VARIANTS,
    tracks_by_category,
    vis_classes,
    vis_numbers,
    vps_classes,
    vps_numbers,
    vss_classes,
    vss_numbers,
    why_undefined,
)
from .tracking import (
    SHORT_TRACKING,
    TrackingCounts,
    add_tracking,
    count_tracking,
    tracking_classes,
    tracking_numbers,
    tracking_scores,
)
from .tracks import FrameOverlap, frame_overlaps, mean_area, occlusion_score, track_areas, track_iou
from .video_consistency import VideoConsistency, mean_consistency, pooled_vc16
from .vis import match_video, range_names
from .vpq import PAPER_WINDOWS, SCRIPT_WINDOWS, VideoPanopticQuality, mean_panoptic_quality, panoptic_quality, vpq
from .vps import VPSCounter, VPSCounts, vps_summary
from .vss import VSSCounter, VSSCounts, pool_windows

__all__ = [
    'ConfusionMatrix', 'FrameOverlap', 'HOTACounts', 'IDCounts', 'MatchedTracks', 'PAPER_WINDOWS',
    'PanopticPair', 'SCRIPT_WINDOWS', 'SHORT_TRACKING', 'STQCounts', 'STQ_VARIANTS', 'SegmentClass',
    'SegmentationTrackingQuality', 'SparseCounts', 'TrackingCounts', 'VPSCounter', 'VPSCounts', 'VSSCounter',
    'VSSCounts', 'VideoConsistency', 'VideoPanopticQuality', 'add_hota', 'add_identities', 'add_tracking',
    'boundary_accuracy', 'boundary_map', 'category_scores', 'compare_panoptic', 'count_fragments', 'count_hota',
    'count_identities', 'count_switches', 'count_tracking', 'frame_overlaps', 'hota_scores', 'identity_scores',
    'jf_scores', 'main_labels', 'majority_class_baseline', 'match_tracks', 'match_video', 'mean_area',
    'mean_consistency', 'mean_panoptic_quality', 'object_statistics', 'occlusion_regions', 'occlusion_score',
    'panoptic_quality', 'per_class_iou', 'pixels_of', 'pool_windows', 'pooled_vc16', 'range_names',
    'segmentation_quality', 'semantic_scores', 'stq', 'track_areas', 'track_iou', 'track_scores',
    'track_statistics', 'tracking_classes', 'tracking_numbers', 'tracking_scores', 'tracks_by_category',
    'video_miou', 'vis_classes', 'vis_numbers', 'vpq', 'vps_classes', 'vps_numbers', 'vps_summary', 'vss_classes',
    'vss_numbers', 'why_undefined'
]
