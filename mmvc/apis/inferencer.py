# Copyright (c) The mmvc contributors. All rights reserved.
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor

from mmvc.models import BaseVideoSegmentor
from mmvc.models.utils import FeatureStore
from mmvc.registry import TRANSFORMS
from mmvc.utils.adaptive_threads import adapt_threads
from mmvc.utils.arguments import check_number
from mmvc.utils.choices import FPS_RANGE, ONNX_RUNTIME
from mmvc.utils.devices import AMP_DTYPES, amp_dtype, usable_device
from mmvc.utils.errors import UsageError, naming_video
from mmvc.utils.folder_lock import hold_folder
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.progress import ProgressBars, Report
from mmvc.utils.tasks import task_of

from .exported_loading import find_backend, load_exported
from .frame_buffer import FrameBuffer
from .frame_reader import FrameReader
from .hub import SharedModel
from .loading import frame_transforms, load_model
from .network_size import Size, check_size, resize_frames
from .passes import TrackProgress, tracked_modules, warn_of_skipped
from .results import FRAME_RESULTS, FrameResult
from .run_records import RunRecords, digest
from .sources import BrokenSource, Frame, FrameSource, Source, VideoFile, open_sources
from .video_result import VideoResult
from .video_run import VideoRun
from .writer import VideoInfo, Writer, WriterSettings
from .writers import build_writers

# Frames per second of overlays if the source has no rate (folders of frames, arrays).
DEFAULT_FPS = 10.


class VideoSegInferencer(SharedModel):
    """Segments videos of any length in bounded memory.

    Frames pass through the test pipeline of the config, so the result equals that of ``tools/test.py``. It does not
    depend on ``window_size`` or ``max_memory``. The frames and masks of a whole video are never in memory together:
    frames are read window by window, masks are decoded and written frame by frame.

    It is called like mmdet's ``DetInferencer``, but does not inherit from mmengine's ``BaseInferencer``. That class
    collects the predictions of all inputs before it draws the first, accepts checkpoints that fit only in part, and
    treats a video as a single sample.

    Args:
        model (str | Path | Config | dict, optional): Config, its path, or the name of a config of mmvc, such as
            ``'mvc/dvispp_r50_vspw'`` or ``'dvispp_vitl_vspw_offline'``; or a graph that ``mmvc export`` has written,
            ``'x.onnx'``, which holds its weights. Defaults to None: the config that is stored in the checkpoint.
        weights (str, optional): Checkpoint file, name of published weights, or address (``hf://user/repo/file``,
            ``https://...``). Defaults to None: the published weights of the model, if it is given by its name and has
            some (``python -m mmvc.apis --list-models``); else ``load_from`` of the config. Without any, the weights
            are random, and a warning is logged.
        device (str, optional): Device, such as ``'cuda:0'``. Defaults to None: an accelerator if there is one, else
            the CPU.
        window_size (int, optional): Number of frames per forward pass, >= 1. Larger windows are faster on a GPU and
            need more memory. Defaults to None: ``window_size`` of the model; 1 for cameras and streams.
        max_memory (float, optional): Memory in GiB for the features of a video, its panoptic maps, and the frames of a
            source that can be read only once. The rest is stored in the system's temporary folder. Defaults to None:
            the limit of the model's ``feature_store``, or 1 GiB.
        amp (str, optional): ``'bf16'`` or ``'fp16'`` to run the network in half precision, which changes the result
            slightly. Defaults to None: full precision.
        compile (bool): Whether to compile backbone and head with :func:`torch.compile`. It takes a minute or more, and
            speeds up the rest. Defaults to False.
        cfg_options (dict, optional): Overrides of the config, with keys such as ``model.feature_store.dtype``.
            Defaults to None.
        show_progress (bool): Whether to show progress bars. Defaults to True.
        stage (str, optional): Stage of the config that the weights are of, such as ``'online'``. Defaults to None: the
            last.
        size (int | tuple[int, int], optional): Size of the frames that go through the network: short side in pixels,
            or width and height, from 16 to 16384. The results have the size of the video. Defaults to None: that of
            the config.
        backend (str, optional): What runs the model: ``'torch'``, or ``'onnxruntime'`` for an exported graph. Such a
            graph runs on the CPU unless ``device`` says otherwise, and ``weights``, ``stage``, ``amp`` and ``compile``
            are not for it. Defaults to None: by the suffix of ``model``.
        keyframe_interval (int, optional): Only every so many frames pass through the network, and their masks are
            moved along optical flow to the frames between them: faster, and less exact. 1: all frames. Defaults to
            None: ``keyframe_interval`` of the model, which is 1 unless its config says more.

    Attributes:
        model (BaseVideoSegmentor): The model, in evaluation mode and optimised for inference.
        cfg (Config): Its config.
        dataset_meta (dict): ``classes`` and ``palette``.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``, by the config's post-processing.
        feature_store (dict): Arguments of the :class:`FeatureStore` that keeps the features of a video.
        backend (str): What runs the model.

    Raises:
        UsageError: An argument is out of range, config, checkpoint or device cannot be used, or config and checkpoint
            do not fit each other.

    Examples:
        >>> inferencer = VideoSegInferencer('mvc/dvispp_r50_vspw', weights='dvispp.pth')
        >>> result, = inferencer('street.mp4', out_dir='out', formats=('overlay', 'masks'))
        >>> result.frames[0].segments[0].class_name
        'road'
        >>> for frame in inferencer.stream('street.mp4'):  # typed, full-size masks, one frame at a time
        ...     print(frame.index, frame.sem_seg.shape)
    """

    def __init__(self,
                 model: str | Path | Config | ConfigDict | dict | None = None,
                 weights: str | None = None,
                 device: str | None = None,
                 window_size: int | None = None,
                 max_memory: float | None = None,
                 amp: str | None = None,
                 compile: bool = False,
                 cfg_options: dict | None = None,
                 show_progress: bool = True,
                 stage: str | None = None,
                 size: Size | None = None,
                 backend: str | None = None,
                 keyframe_interval: int | None = None) -> None:
        self.backend = find_backend(model, backend)
        if window_size is not None:
            check_number('window_size', window_size, 1, whole=True)
        if max_memory is not None:
            check_number('max_memory', max_memory, 0)
        if amp not in (None, *AMP_DTYPES):
            raise UsageError(f'amp must be one of {", ".join(AMP_DTYPES)}, got {amp!r}')
        if size is not None:
            size = check_size(size)
        if keyframe_interval is not None:
            check_number('keyframe_interval', keyframe_interval, 1, whole=True)
            cfg_options = {**(cfg_options or {}), 'model.keyframe_interval': keyframe_interval}
        self.device = usable_device('cpu' if self.backend == ONNX_RUNTIME and device is None else device)
        self._arguments = dict(model=model, weights=weights, cfg_options=cfg_options, stage=stage)
        self.model: BaseVideoSegmentor
        if self.backend == ONNX_RUNTIME:
            self.model, self.cfg, self.dataset_meta, only_size = load_exported(
                cast(str | Path, model), self.device, cfg_options, weights=weights, stage=stage, amp=amp,
                compile=compile)
            size = size or only_size
        else:
            self.model, self.cfg, self.dataset_meta = load_model(model, weights, self.device, cfg_options, stage)
        task = task_of(self.model.postprocessor)
        if task is None:
            raise UsageError(f'model.postprocessor is a {type(self.model.postprocessor).__name__}, whose task is not '
                             'known: use VSSPostprocessor, VPSPostprocessor, VISPostprocessor or a subclass of one')
        self.task = task
        self.window_size = window_size
        self.show_progress = show_progress
        self._amp = None if amp is None else amp_dtype(amp, self.device)
        self._scope = self.cfg.get('default_scope') or 'mmvc'
        self.feature_store: dict[str, Any] = dict(self.model.feature_store)
        if max_memory is not None:
            self.feature_store['memory_limit'] = max_memory * 2**30
        loader, transforms = frame_transforms(self.cfg)
        self._transforms = transforms if size is None else resize_frames(transforms, size)
        with DefaultScope.overwrite_default_scope(self._scope):
            self._loader = TRANSFORMS.build(loader)
            self.pipeline = Compose(self._transforms)
        self.model.optimize_for_inference(compile)

    def __repr__(self) -> str:
        """Model, task, number of classes and device in one line."""
        return (f'{type(self).__name__}({type(self.model).__name__}, {self.task}, '
                f'{len(self.dataset_meta["classes"])} classes, {self.device})')

    def __call__(self,
                 inputs: Source | Sequence[Source],
                 out_dir: str | Path | None = None,
                 formats: str | Sequence[str] = ('overlay', ),
                 online: bool = False,
                 fps: float | None = None,
                 alpha: float = 0.6,
                 score_thr: float = 0.3,
                 stride: int = 1,
                 max_frames: int | None = None,
                 skip_broken: bool = False,
                 return_frames: bool = True,
                 keep_going: bool = False,
                 skip_existing: bool = False,
                 side_by_side: bool = False,
                 legend: bool = True,
                 progress: Report | None = None) -> list[VideoResult]:
        """Segment videos.

        Args:
            inputs: One input or a list of inputs: a video file, a folder of frames, an image, a pattern
                (``'frames/*.jpg'``), an address (``'rtsp://...'``), a camera number, an image or frames in memory, or
                an iterator of images. In memory, arrays (H, W, 3) or (T, H, W, 3) are BGR, uint8; tensors (3, H, W) or
                (T, 3, H, W) are RGB, uint8 or floats from 0 to 1; PIL images have any mode.
            out_dir (str | Path, optional): Output folder. Existing files are replaced once the new ones are complete.
                Defaults to None: nothing is written.
            formats (str | Sequence[str]): Output formats: ``'overlay'`` (mp4), ``'masks'`` (PNG), ``'rle'`` (JSON with
                COCO run-length encoding) and ``'official'`` (submission format of the benchmark). Defaults to
                ``('overlay', )``.
            online (bool): Whether each frame gets its result at once, from the class scores of the frames so far
                instead of those of the whole video. This needs an online model. An online model always does so for
                cameras, streams and iterators. Defaults to False.
            fps (float, optional): Frames per second of the overlay. Defaults to None: those of the source, or 10 if
                it has none.
            alpha (float): Opacity of the colours over the frames, from 0 to 1. Defaults to 0.6.
            score_thr (float): Instances that score less are not drawn, neither in overlays nor in masks (VIS).
                Defaults to 0.3.
            stride (int): Use every ``stride``-th frame. Defaults to 1.
            max_frames (int, optional): Stop after this many frames. Defaults to None: all.
            skip_broken (bool): Whether to skip frames that cannot be read or differ in size from the first one. The
                result lists them. Defaults to False: they are an error.
            return_frames (bool): Whether to return the segments of the frames, run-length encoded: some kilobytes per
                frame. Defaults to True.
            keep_going (bool): Whether to go on with the other videos if one cannot be read. Its result then has an
                ``error`` and no files. Defaults to False: it is an error.
            skip_existing (bool): Whether to leave out videos whose outputs an earlier call has completed with the same
                source, settings and weights, see :class:`RunRecords`. Defaults to False.
            side_by_side (bool): Whether overlays show the frame beside the prediction. Defaults to False.
            legend (bool): Whether overlays have a legend of the classes below (VSS). Without it, they are as high as
                the frames. Defaults to True.
            progress (Callable, optional): Called with a description of the step, the number of frames (or layers)
                that are done and their total (None if it is not known), before the first one and after each. What it
                raises ends the call, and the outputs of the video in progress are not written. Defaults to None.

        Returns:
            list[VideoResult]: One result per video.

        Raises:
            UsageError: An input cannot be read (with ``keep_going`` only if none can be opened), an argument is out of
                range, ``out_dir`` cannot be written to, an output would overwrite an input, or another process writes
                to ``out_dir``.
        """
        check_number('alpha', alpha, 0, 1)
        check_number('score_thr', score_thr, 0, 1)
        if fps is not None:
            check_number('fps', fps, *FPS_RANGE)
        readers = [FrameReader(source, stride, max_frames, skip_broken)
                   for source in open_sources(inputs, self._load_image, keep_going)]
        writers: dict[str, Writer] = {}
        records = None
        if out_dir is not None:
            settings = WriterSettings(Path(out_dir), self.task, alpha=alpha, score_thr=score_thr,
                                      side_by_side=side_by_side, legend=legend, **self.dataset_meta)
            writers = build_writers(formats, settings)
            records = RunRecords(Path(out_dir), dict(
                model=self._digest, classes=self.dataset_meta, online=online, fps=fps, alpha=alpha,
                score_thr=score_thr, stride=stride, max_frames=max_frames, skip_broken=skip_broken,
                side_by_side=side_by_side, legend=legend))
        elif skip_existing:
            raise UsageError('skip_existing compares with the files of an output folder: give out_dir (--out-dir)')
        videos = [self._describe(reader, fps) for reader in readers]
        protect_inputs([writer.target(video) for reader, video in zip(readers, videos)
                        if not isinstance(reader.source, BrokenSource) for writer in writers.values()],
                       [path for reader in readers for path in reader.source.files])
        with ExitStack() as stack:
            if out_dir is not None:
                stack.enter_context(hold_folder(out_dir))
            bars = stack.enter_context(ProgressBars(enabled=self.show_progress, report=progress))

            def frames_of(reader: FrameReader) -> Iterator[FrameResult]:
                return self._frames(reader, online or reader.source.live and self.model.is_online, bars.track)

            run = VideoRun(frames_of, self.task, self.dataset_meta, writers, records, return_frames, keep_going,
                           skip_existing)
            return [run.segment(reader, video) for reader, video in zip(readers, videos)]

    def stream(self,
               source: Source | FrameSource,
               online: bool | None = None,
               stride: int = 1,
               max_frames: int | None = None,
               skip_broken: bool = False) -> Iterator[FrameResult]:
        """Segment a video, and yield its frames one by one.

        An online model yields each frame as soon as it is done, in memory that does not grow with the video: for
        cameras and pipes. Its class scores are those of the frames so far. An offline model reads the source twice:
        first to track and refine, then to yield each frame with its masks. In between it keeps the queries and compact
        mask features of the video, in memory up to a limit, on disk beyond it.

        Args:
            source: One input as for :meth:`__call__`.
            online (bool, optional): Whether frames are yielded as soon as they are done. Defaults to None: if the
                model can. With False, an online model gives the result of :meth:`__call__`, that of ``tools/test.py``.
            stride (int): Take every ``stride``-th frame. Defaults to 1.
            max_frames (int, optional): Stop after this many frames. Defaults to None: all.
            skip_broken (bool): Whether to skip frames that cannot be read, with a warning. Defaults to False.

        Returns:
            Iterator[FrameResult]: :class:`SemanticFrame`, :class:`PanopticFrame` or :class:`InstanceFrame`.

        Raises:
            UsageError: At the call, if the source cannot be opened, an argument is out of range, or the model is
                offline and the source has no end. During the iteration, if a frame cannot be read.
        """
        sources = [source] if isinstance(source, FrameSource) else open_sources(source, self._load_image)
        if len(sources) != 1:
            raise UsageError(f'stream() takes one video, got {len(sources)}: call it once per video')
        reader = FrameReader(sources[0], stride, max_frames, skip_broken)
        frames = self._frames(reader, self.model.is_online if online is None else online)

        def with_warnings() -> Iterator[FrameResult]:
            yield from frames
            warn_of_skipped(reader)

        return with_warnings()

    @cached_property
    def _digest(self) -> str:
        return digest(self.model, self.cfg.model, self._transforms, str(self._amp))

    @staticmethod
    def _describe(reader: FrameReader, fps: float | None) -> VideoInfo:
        source = reader.source
        file = source.files[0] if isinstance(source, VideoFile) and source.files else None
        return VideoInfo(source.name, source.description, fps or reader.fps or DEFAULT_FPS, source.is_image,
                         reader.stride, file)

    def _frames(self, reader: FrameReader, online: bool, track: TrackProgress | None = None) -> Iterator[FrameResult]:
        """Yield the frames of a video with their prediction."""
        if not self.model.is_online and (online or reader.source.endless and reader.max_frames is None):
            what = 'is to be segmented while it is read' if online else 'has no end'
            more = '' if online else ', or limit the number of frames (max_frames, --max-frames)'
            raise UsageError(f'{type(self.model).__name__} refines a video as a whole, but '
                             f'{reader.source.description} {what}: use the config and checkpoint of the online stage'
                             f'{more}')
        track = track or (lambda items, total, description: iter(items))
        return self._online(reader, track) if online else self._two_passes(reader, track)

    def _online(self, reader: FrameReader, track: TrackProgress) -> Iterator[FrameResult]:
        pending: deque[Frame] = deque()
        frames = track(reader, reader.expected_frames, reader.source.name)
        windows = self._windows(frames, self._window_size(reader), pending)
        first = next(windows)  # reading a frame sets the reader's size
        samples = self._stepped(self.model.stream(chain([first], windows), reader.size))
        while True:
            with naming_video(reader.source.name):
                sample = next(samples, None)
            if sample is None:
                return
            yield self._result(reader, pending.popleft(), sample)

    def _two_passes(self, reader: FrameReader, track: TrackProgress) -> Iterator[FrameResult]:
        name, total = reader.source.name, reader.expected_frames
        again: Iterable[Frame] = reader
        frames: Iterable[Frame] = reader
        store = FeatureStore(**self.feature_store)
        if not reader.source.repeatable:
            again = buffer = FrameBuffer(store)
            frames = buffer.keep(reader)
        windows = self._windows(track(frames, total, f'{name}: segment'), self._window_size(reader))
        first = next(windows)  # reading a frame sets the reader's size
        steps = tracked_modules(self.model.final_steps(), track, f'{name}: refine')
        with steps, torch.no_grad(), self._autocast(), naming_video(name):
            prediction = self.model.predict_video(chain([first], windows), reader.size, store)
        del first
        if self.task == 'vps':  # the segments of a video are known only after a pass over all masks
            prediction.track = lambda masks: track(masks, len(prediction), f'{name}: compare masks')
        samples = self._stepped(self.model.postprocessor.frames(prediction))
        decoded = 0
        # zip() asks for the frame first, so the source is read to its end, where the reader may skip broken frames
        for frame, sample in zip(track(again, len(prediction), f'{name}: decode masks'), samples):
            decoded += 1
            yield self._result(reader, frame, sample)
        if decoded < len(prediction):
            raise UsageError(f'{reader.source.description} had {len(prediction)} frames when it was segmented, and '
                             f'only {decoded} when it was read again to decode the masks: do not change it while it '
                             'is being segmented')

    def _windows(self, frames: Iterable[Frame], window_size: int,
                 pending: deque[Frame] | None = None) -> Iterator[Tensor]:
        """Yield the inputs of the network, window by window: uint8 (t, 3, H', W')."""
        window: list[Frame] = []
        for frame in frames:
            window.append(frame)
            if pending is not None:
                pending.append(frame)
            if len(window) == window_size:
                yield self._prepare(window)
                window = []
        if window:
            yield self._prepare(window)

    def _prepare(self, window: list[Frame]) -> Tensor:
        """Pass the frames of a window through the test pipeline of the config."""
        adapt_threads()
        size, count = window[0].image.shape[:2], len(window)
        results = dict(
            img=[frame.image for frame in window],
            img_path=[frame.name for frame in window],
            frame_id=[frame.index for frame in window],
            img_shape=[size] * count,
            ori_shape=[size] * count,
            homography_matrix=[np.eye(3, dtype=np.float32)] * count)
        with DefaultScope.overwrite_default_scope(self._scope):
            try:
                return self.pipeline(results)['inputs']
            except cv2.error as error:  # for example a resize to a side of 0 pixels
                raise UsageError(f'frames of {size[1]}x{size[0]} do not pass through the test pipeline of the config: '
                                 f'{" ".join(error.err.split())} ({error.func}). Change the scale of its Resize, or '
                                 'the size of the frames') from error

    def _window_size(self, reader: FrameReader) -> int:
        return self.window_size or (1 if reader.source.live else self.model.window_size)

    def _load_image(self, path: str) -> np.ndarray:
        """Load an image by the transform of the test pipeline."""
        return self._loader(dict(img_path=path))['img']

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self._amp, enabled=self._amp is not None)

    def _stepped(self, items: Iterator[Any]) -> Iterator[Any]:
        """Run a generator without gradients and in the inferencer's precision, but not the code that consumes it."""
        while True:
            adapt_threads()
            with torch.no_grad(), self._autocast():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def _result(self, reader: FrameReader, frame: Frame, sample: Any) -> FrameResult:
        return FRAME_RESULTS[self.task](reader.source.name, frame.index, frame.name, frame.image, sample,
                                        self.dataset_meta['classes'], self.dataset_meta['palette'])
