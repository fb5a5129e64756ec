# Copyright (c) The mmvc contributors. All rights reserved.
"""Draw a video with the cross-attention of the temporal refiner beside it."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import mmcv
import numpy as np

from mmvc.apis import FrameResult, VideoSegInferencer
from mmvc.engine import load_config
from mmvc.engine.ground_truth import GroundTruth
from mmvc.utils.errors import UsageError
from mmvc.utils.names import output_path
from mmvc.visualization import PanelDrawer, SegmentMap

from .attention import VideoAttention, record_attention
from .attention_pictures import heat_map, plot_share
from .pictures import PictureWriter, frames_to_show


class AttentionVideo:
    """Draws a video with the cross-attention of the refiner of one or several offline models.

    Args:
        models (dict[str, VideoSegInferencer]): Models by name. The predictions of the first one are drawn.
        score_thr (float): Instances with a lower score are not drawn (VIS). Defaults to 0.3.
    """

    def __init__(self, models: dict[str, VideoSegInferencer], score_thr: float = 0.3) -> None:
        self.models = models
        self.first = next(iter(models.values()))
        meta = self.first.dataset_meta
        self.drawer = PanelDrawer(meta['classes'], meta['palette'])
        self.score_thr = score_thr

    @classmethod
    def from_files(cls, files: dict[str, tuple[str, str]], cfg_options: dict | None = None,
                   data_root: str | None = None, device: str | None = None) -> 'AttentionVideo':
        """Load the models from files.

        Args:
            files (dict[str, tuple[str, str]]): Config and checkpoint by name of the model.
            cfg_options (dict, optional): Overrides of all configs. Defaults to None.
            data_root (str, optional): Folder of the dataset. Defaults to None: that of the configs.
            device (str, optional): Device of the models. Defaults to None: an accelerator if there is one.

        Raises:
            UsageError: A file cannot be used, or a checkpoint does not fit its config.
        """
        return cls({
            name: VideoSegInferencer(load_config(config, cfg_options, data_root), checkpoint, device)
            for name, (config, checkpoint) in files.items()
        })

    def dataset_video(self, name: str | None = None) -> tuple[str, list[str]]:
        """Find a video in the test set of the first model.

        Args:
            name (str, optional): Name of the video. Defaults to None: the first one.

        Returns:
            tuple[str, list[str]]: Name of the video and the files of its frames.

        Raises:
            UsageError: There is no such video, or no test set.
            DataError: The test set is damaged.
        """
        if self.first.cfg.get('test_dataloader') is None:
            raise UsageError('the config has no test_dataloader to take a video from: give a video file or folder '
                             '(--input)')
        dataset = GroundTruth(self.first.cfg.test_dataloader.dataset)
        name = name or dataset.videos[0]
        return name, dataset.frames(name)

    def write(self, out_dir: str | Path, source: Any, name: str | None = None, form: str = 'video',
              fps: float = 10, layer: int | None = None, max_frames: int | None = None, drop_ratio: float = 0.5,
              seed: int = 0) -> dict[str, Any]:
        """Segment a video and draw it: input, prediction, and the attention of each model with and without OMA.

        Args:
            out_dir (str | Path): Folder to write to.
            source (Any): The video, see :meth:`VideoSegInferencer.stream`.
            name (str, optional): Name of the video. Defaults to None: that of the source.
            form (str): See :class:`PictureWriter`. Defaults to 'video'.
            fps (float): Frames per second of a video. Defaults to 10.
            layer (int, optional): Index of the layer to draw. Defaults to None: mean over all layers.
            max_frames (int, optional): Stop after this many frames. Defaults to None: see :func:`frames_to_show`.
            drop_ratio (float): See :func:`record_attention`. Defaults to 0.5.
            seed (int): See :func:`record_attention`. Defaults to 0.

        Returns:
            dict: ``numbers``, ready for JSON (name of the ``video``, :meth:`VideoAttention.numbers` of its ``models``)
            and the ``files`` that were written.

        Raises:
            UsageError: The video cannot be read, a model has no refiner, or there is no such layer.
        """
        max_frames = frames_to_show(form, max_frames)
        with ExitStack() as stack:
            attentions, frames = self._segment(stack, source, max_frames, drop_ratio, seed)
            first = next(iter(attentions.values()))
            if layer is not None and not 0 <= layer < len(first.plain):
                raise UsageError(f'the refiner has the layers 0 to {len(first.plain) - 1}, there is no layer {layer}')
            maximum = max(self._mean(attention, frame, layer, masked).max(initial=0.)
                          for attention in attentions.values() for masked in (False, True)
                          for frame in range(len(attention.background)))
            head = next(frames)
            frames, name = chain([head], frames), (name or head.video).replace('/', '_')
            with PictureWriter(out_dir, name, self.drawer, form=form, fps=fps) as writer:
                for index, frame in enumerate(frames):
                    writer.add(frame.name, self._columns(frame, index, attentions, layer, float(maximum)))
        curves = {}
        for model, attention in attentions.items():
            curves[f'{model}, plain'] = attention.background_share().mean(dim=0).tolist()
            curves[f'{model}, OMA'] = attention.background_share(masked=True).mean(dim=0).tolist()
        chart = output_path(out_dir, name, suffix='_share.png')
        plot_share(chart, curves)
        numbers = dict(video=name, models={model: attention.numbers() for model, attention in attentions.items()})
        return dict(numbers=numbers, files=[writer.path, chart])

    def _segment(self, stack: ExitStack, source: Any, max_frames: int | None, drop_ratio: float,
                 seed: int) -> tuple[dict[str, VideoAttention], Iterator[FrameResult]]:
        """Return the attention by model, and the frames with the predictions of the first model."""
        attentions: dict[str, VideoAttention] = {}
        shown: Iterator[FrameResult] = iter(())
        for name, inferencer in self.models.items():
            attention = stack.enter_context(record_attention(inferencer.model, drop_ratio, seed))
            frames = inferencer.stream(source, max_frames=max_frames)
            head = next(frames)  # segments the whole video
            if not attention.foreground.any():
                raise UsageError(f'for {name}, every query of "{head.video}" is background (score of the empty class '
                                 f'at least {attention.threshold}): train it longer, or choose a video of its domain')
            if not attentions:
                shown = chain([head], frames)
            attentions[name] = attention
        return attentions, shown

    def _columns(self, frame: FrameResult, index: int, attentions: dict[str, VideoAttention], layer: int | None,
                 maximum: float) -> dict[str, np.ndarray]:
        """Draw the columns of a frame: picture by title."""
        image = mmcv.bgr2rgb(frame.image)
        predicted = SegmentMap.of_prediction(frame.data_sample, len(frame.classes), self.score_thr)
        columns = dict(input=image, prediction=self.drawer.draw(image, predicted))
        for name, attention in attentions.items():
            rows = [f'{self.drawer.classes[attention.labels[query]]} q{query}'
                    for query in np.flatnonzero(attention.foreground.numpy())]
            num_foreground = int((~attention.background[index]).sum())
            for masked, title in ((False, 'plain'), (True, 'OMA')):
                by_layer = attention.background_share(masked)[:, index]
                share = by_layer.mean() if layer is None else by_layer[layer]
                label = title if len(attentions) == 1 else f'{name}, {title}'
                columns[f'{label}: {share:.1%} on background'] = heat_map(
                    self._mean(attention, index, layer, masked), num_foreground, rows,
                    columns['prediction'].shape[:2], maximum)
        return columns

    @staticmethod
    def _mean(attention: VideoAttention, frame: int, layer: int | None, masked: bool) -> np.ndarray:
        return attention.mean_weights(frame, layer, masked).numpy()
