# Copyright (c) The mmvc contributors. All rights reserved.
"""Renders the frames of a scene: images with exact maps of classes and instances."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from mmvc.formats.label_maps import VOID_LABEL

from .classes import METAINFO, STUFF
from .config import SyntheticVideoConfig, random_stream
from .motion import CameraMotion, Light
from .population import sample_things
from .scene import SPRITE_REACH, StuffLayout, Thing
from .textures import draw_colour

TILE_EXTENT = 2.0  # side of a stuff texture in world units; the texture repeats after it


class SyntheticFrame(NamedTuple):
    """One labelled frame.

    Args:
        image (ndarray): BGR, uint8 (H, W, 3).
        sem (ndarray): Class index, uint8 (H, W), 255 = void.
        ids (ndarray): Instance id of the visible thing, int32 (H, W), 0 = none. It has no void boundaries.
        full_areas (dict[int, int]): Instance id -> number of pixels that the thing would cover in the frame without
            occlusion; only things with at least one pixel. ``ids`` has the visible pixels.
    """
    image: np.ndarray
    sem: np.ndarray
    ids: np.ndarray
    full_areas: dict[int, int]


class SyntheticClip(NamedTuple):
    """A whole video as arrays.

    Args:
        frames (ndarray): BGR, uint8 (T, H, W, 3).
        sem (ndarray): Class index, uint8 (T, H, W), 255 = void.
        ids (ndarray): Instance id of the visible thing, int32 (T, H, W), 0 = none.
        meta (dict): See :attr:`SyntheticVideo.meta`.
    """
    frames: np.ndarray
    sem: np.ndarray
    ids: np.ndarray
    meta: dict[str, Any]


class SyntheticVideo:
    """A labelled video whose frames are rendered on demand, in any order.

    The pixels depend only on the settings, the seed, the split and the index.

    Args:
        config (SyntheticVideoConfig): Settings.
        seed (int): Seed of the dataset, >= 0.
        index (int): Number of the video in its split, >= 0.
        split (str): Name of the split. Defaults to ``'train'``.

    Raises:
        ValueError: ``seed`` or ``index`` is negative.
    """

    def __init__(self, config: SyntheticVideoConfig, seed: int, index: int, split: str = 'train') -> None:
        self.config = config
        self._stream = partial(random_stream, seed, split, index)
        self._layout = StuffLayout(self._stream('layout'))
        self._things = sample_things(self._stream, config, self._layout)
        self._camera = CameraMotion(self._stream('camera'), config.num_frames, config.camera_motion)
        self._light = Light(self._stream('light'), config.num_frames, config.lighting_change)
        height, width = config.size
        self._side = min(config.size)
        self._centre = np.array([width, height]) / 2
        # pixel (0, 0) has its centre at (0.5, 0.5)
        self._view_x, self._view_y = np.meshgrid(
            ((np.arange(width) + 0.5 - width / 2) / self._side).astype(np.float32),
            ((np.arange(height) + 0.5 - height / 2) / self._side).astype(np.float32))
        self._tile = int(np.clip(TILE_EXTENT * self._side, 64, 1024))
        self._textures = []
        for stuff in STUFF:
            rng = self._stream('stuff', stuff.name)
            self._textures.append(stuff.texture(rng, self._tile, draw_colour(rng, stuff.colours)))
        self.meta: dict[str, Any] = dict(
            name=f'{split}_{index:05d}',
            split=split,
            index=index,
            seed=seed,
            size=config.size,
            num_frames=config.num_frames,
            instances=sorted((dict(id=thing.instance_id, category=thing.label, cue=thing.cue)
                              for thing in self._things if thing.instance_id), key=lambda item: item['id']),
            **METAINFO)

    def __len__(self) -> int:
        return self.config.num_frames

    def __iter__(self) -> Iterator[SyntheticFrame]:
        return (self.render(t) for t in range(len(self)))

    def render(self, t: int) -> SyntheticFrame:
        """Render frame ``t``.

        Args:
            t (int): Frame number, 0 <= t < ``len(self)``.

        Returns:
            SyntheticFrame: Image and labels.

        Raises:
            IndexError: ``t`` is out of range.
        """
        if not 0 <= t < len(self):
            raise IndexError(f'{self.meta["name"]} has no frame {t}: it has the frames 0 to {len(self) - 1}')
        image, sem = self._render_stuff(t)
        ids = np.zeros(self.config.size, np.int32)
        full_areas = {}
        for thing in self._things:
            area = self._draw_thing(thing, t, image, sem, ids)
            if thing.instance_id and area:
                full_areas[thing.instance_id] = area
        self._void_boundary(sem, ids)
        return SyntheticFrame(self._expose(image, t), sem, ids, full_areas)

    def _render_stuff(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Return colours uint8 (H, W, 3) and classes uint8 (H, W) of the background at frame ``t``."""
        centre, zoom, roll = self._camera.pose(t)
        cos, sin = np.float32(np.cos(roll) / zoom), np.float32(np.sin(roll) / zoom)
        x = cos * self._view_x + sin * self._view_y + np.float32(centre[0])
        y = cos * self._view_y - sin * self._view_x + np.float32(centre[1])
        labels, brightness = self._layout.lookup(x, y)
        image = np.zeros((*self.config.size, 3), np.uint8)
        scale = np.float32(self._tile / TILE_EXTENT)
        for i, (stuff, texture) in enumerate(zip(STUFF, self._textures)):
            region = (labels == i).astype(np.uint8)
            if region.any():
                colours = cv2.remap(texture, (x - np.float32(stuff.drift[0] * t)) * scale,
                                    (y - np.float32(stuff.drift[1] * t)) * scale, cv2.INTER_LINEAR,
                                    borderMode=cv2.BORDER_WRAP)
                cv2.copyTo(colours, region, image)
        return np.clip(image * brightness[..., None], 0, 255).astype(np.uint8), labels

    def _place(self, thing: Thing, t: int) -> tuple[np.ndarray, float, float]:
        """Return the centre of a thing in pixels (2,), its radius in pixels and its angle in the image."""
        centre, zoom, roll = self._camera.pose(t)
        cos, sin = np.cos(roll), np.sin(roll)
        place = np.array([[cos, -sin], [sin, cos]]) @ (np.array(thing.path(t)) - centre) * zoom
        radius = thing.radius(t) * zoom
        if thing.excursion is not None:
            share = thing.excursion.share(t)
            beyond = thing.excursion.side * (self._centre[0] / self._side + 1.05 * radius)
            inside = np.clip(place, -0.8 * self._centre / self._side, 0.8 * self._centre / self._side)
            place = (1 - share) * inside + share * np.array([beyond, inside[1]])
        return self._centre + place * self._side, radius * self._side, thing.angle(t) + roll

    def _draw_thing(self, thing: Thing, t: int, image: np.ndarray, sem: np.ndarray, ids: np.ndarray) -> int:
        """Draw a thing over the current image and maps, and return the number of pixels that it covers."""
        (cx, cy), radius, angle = self._place(thing, t)
        height, width = self.config.size
        left, right = max(int(cx - radius), 0), min(int(cx + radius) + 2, width)
        top, bottom = max(int(cy - radius), 0), min(int(cy + radius) + 2, height)
        if left >= right or top >= bottom:
            return 0
        # local = linear @ (pixel - centre): rotate back, divide by the extent, mirror
        extent = radius * thing.stretch * np.array([-1 if thing.mirrored(t) else 1, 1])
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.array([[cos, sin], [-sin, cos]]) / extent[:, None]
        x = (np.arange(left, right) + 0.5 - cx)[None]
        y = (np.arange(top, bottom) + 0.5 - cy)[:, None]
        outline, surface = thing.looks(t)
        mask = outline(linear[0, 0] * x + linear[0, 1] * y, linear[1, 0] * x + linear[1, 1] * y)
        area = int(mask.sum())
        if not area:
            return 0
        # the same transform, from pixel indices of the region to those of the sprite
        zoom = surface.shape[0] / 2 / SPRITE_REACH
        offset = zoom * (linear @ np.array([left + 0.5 - cx, top + 0.5 - cy]) + SPRITE_REACH) - 0.5
        colours = cv2.warpAffine(surface, np.column_stack([zoom * linear, offset]), (right - left, bottom - top),
                                 flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
        window = np.s_[top:bottom, left:right]
        image[window][mask] = colours[mask]
        sem[window][mask] = thing.label
        ids[window][mask] = thing.instance_id
        return area

    def _void_boundary(self, sem: np.ndarray, ids: np.ndarray) -> None:
        """Draw void lines between the segments of ``sem``."""
        if self.config.void_boundary:
            segments = np.where(ids > 0, ids + 256, sem).astype(np.uint16)
            kernel = np.ones((self.config.void_boundary + 1, ) * 2, np.uint8)
            sem[cv2.dilate(segments, kernel) != cv2.erode(segments, kernel)] = VOID_LABEL

    def _expose(self, image: np.ndarray, t: int) -> np.ndarray:
        """Apply blur, light and noise."""
        lit = cv2.GaussianBlur(image, (3, 3), 0.6) * self._light.gain(self._view_x, self._view_y, t)
        if self.config.noise:
            noise = self._stream('noise', t).standard_normal(self.config.size, dtype=np.float32)
            lit += self.config.noise * noise[..., None]
        return np.clip(lit + 0.5, 0, 255).astype(np.uint8)


def generate_video(config: SyntheticVideoConfig, seed: int, index: int, split: str = 'train') -> SyntheticClip:
    """Render a whole video to arrays.

    Args:
        config (SyntheticVideoConfig): Settings.
        seed (int): Seed of the dataset, >= 0.
        index (int): Number of the video in its split, >= 0.
        split (str): Name of the split. Defaults to ``'train'``.

    Returns:
        SyntheticClip: Frames, labels, instance ids and metadata.

    Raises:
        ValueError: ``seed`` or ``index`` is negative.
    """
    video = SyntheticVideo(config, seed, index, split)
    frames: list[SyntheticFrame] = list(video)
    return SyntheticClip(np.stack([frame.image for frame in frames]), np.stack([frame.sem for frame in frames]),
                         np.stack([frame.ids for frame in frames]), video.meta)
