# Copyright (c) The mmvc contributors. All rights reserved.
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop, ValLoop

from mmvc.evaluation import VideoMetric
from mmvc.evaluation.metrics.frames import is_labelled, require_files
from mmvc.registry import HOOKS


@HOOKS.register_module()
class CheckDataHook(Hook):
    """Checks the data of a validation or test before anything is trained or predicted.

    Whatever the metrics need of a video, see :meth:`VideoMetric.check_video`, and the files of its frames must be
    there. The log says how many videos and frames there are, and how many of them have ground truth.
    :func:`build_runner` adds this hook to every runner.

    Raises:
        FileNotFoundError: Frames or masks do not exist.
        DataError: Annotations contradict the data.
        UsageError: A video cannot be scored.
    """

    priority = 'HIGH'

    def __init__(self) -> None:
        self._checked: set[int] = set()  # loops

    def before_train(self, runner: Runner) -> None:
        """Check the validation set before the first step."""
        if runner.val_loop is not None:
            self._check(runner.val_loop)

    def before_val(self, runner: Runner) -> None:
        """Check the validation set, if no training has done it."""
        self._check(runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Check the test set."""
        self._check(runner.test_loop)

    def _check(self, loop: ValLoop | TestLoop) -> None:
        metrics = [metric for metric in getattr(loop.evaluator, 'metrics', ()) if isinstance(metric, VideoMetric)]
        if id(loop) in self._checked or not metrics:
            return
        dataset = loop.dataloader.dataset
        videos = [dataset.get_data_info(index) for index in range(len(dataset))]
        num_frames = num_masks = num_labelled = 0
        for video in videos:
            frames = video.get('images', [video])
            require_files([frame['img_path'] for frame in frames if 'img_path' in frame],
                          f'frames of video "{video.get("video_id")}"')
            num_frames += len(frames)
            num_masks += sum(frame.get('seg_map_path') is not None for frame in frames)
            num_labelled += sum(is_labelled(frame) for frame in frames)
        for metric in metrics:
            metric.check_data(videos)
        labels = f', {num_masks} of them with a mask' if num_masks else (
            f', {num_labelled} of them labelled' if num_labelled < num_frames else '')
        print_log(f'{type(dataset).__name__}: {len({video.get("video_id") for video in videos})} videos, {num_frames} '
                  f'frames{labels}', logger='current')
        self._checked.add(id(loop))
