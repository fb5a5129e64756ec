# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure how much category correction can gain at most: the ground truth answers every question.

    python benchmarks/category_correction.py CONFIG [--answers best] [--work-dir DIR] [--data-root DIR] [--workers 1]

Corrects the predictions of the challenge pipeline with an oracle in place of the multimodal model, and prints a
report. The numbers are bounds, not results.

- perfect: the oracle names the class that covers most of the segment in the frame of the question, or "none of them"
  if no class of the group is there. A real model cannot answer better. The numbers can still fall, because the whole
  segment gets the class, also where it was right before.
- best: the oracle gives the answer that makes most pixels of the segment right in the whole video; that can be no
  answer. This is an upper bound, in pixels, of what these questions can gain.

The results are in oracle_<answers>/ in the work dir, apart from those of the pipeline.
"""

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np

import mmvc  # noqa: F401  registers the scope
from mmvc.challenge.correction import (
    CorrectionSettings,
    MultimodalBackend,
    VideoSegments,
    draw_picture,
    make_question,
)
from mmvc.challenge.correction.video import choose_frames
from mmvc.challenge.pipeline import ChallengePipeline, ChallengePlan, load_plan
from mmvc.challenge.pipeline.plan import ModelPlan
from mmvc.engine import default_work_dir, load_config, report_errors
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.errors import UsageError
from mmvc.utils.files import files_in

NONE = 'none of them'


class Oracle(MultimodalBackend):
    """Answers from the ground truth, for the questions about one set of predictions.

    Args:
        pipeline (ChallengePipeline): Has the images, the masks, and the settings of the correction.
        folder (Path): Folder of the predictions to correct.
        answers (str): ``'perfect'`` or ``'best'``.
    """

    def __init__(self, pipeline: ChallengePipeline, folder: Path, answers: str) -> None:
        super().__init__(f'oracle, {answers} answers')
        self._answers: dict[tuple[str, str], str] = {}
        plan = pipeline.plan.correction
        settings = CorrectionSettings(**plan.settings)
        table = plan.table(pipeline.dataset.metainfo['classes'])
        for video, images in pipeline.images.items():
            predictions = files_in(folder / video, ('.png', ))
            labels = np.stack([read_label_map(str(predictions[Path(image).stem])) for image in images])
            truth = np.stack([read_label_map(path) for path in pipeline.masks[video]]).astype(int)
            truth -= pipeline.dataset.label_offset
            found = VideoSegments(labels, table)
            for segment in found.find_doubtful(settings.min_area, settings.min_change, settings.max_margin):
                group = table.groups[segment.group]
                question = make_question(group.stuff, group.classes)
                masks = {frame: found.mask(segment, frame) for frame in segment.areas}
                indices = [table.classes.index(name) for name in group.classes]
                choices = _best_classes(labels, truth, masks, indices, answers)
                for frame in choose_frames(segment, settings.num_questions):
                    image = cv2.resize(cv2.imread(images[frame]), labels.shape[:0:-1], interpolation=cv2.INTER_AREA)
                    picture = draw_picture(image, masks[frame], settings.picture)
                    choice = choices[frame]
                    self._answers[self._key(picture, question)] = NONE if choice is None else group.classes[choice]

    def ask(self, picture: bytes, question: str) -> str:
        """Return the answer to a question about these predictions."""
        return self._answers[self._key(picture, question)]

    @staticmethod
    def _key(picture: bytes, question: str) -> tuple[str, str]:
        return hashlib.sha256(picture).hexdigest(), question


def _best_classes(labels: np.ndarray, truth: np.ndarray, masks: dict[int, np.ndarray], classes: list[int],
                  answers: str) -> dict[int, int | None]:
    """Choose the answer for each frame of a segment.

    Args:
        labels (np.ndarray): Predicted label maps, uint8 (T, H, W).
        truth (np.ndarray): Ground truth, int (T, H, W).
        masks (dict[int, np.ndarray]): Pixels of the segment by frame, bool (H, W).
        classes (list[int]): Class indices of the possible answers.
        answers (str): ``'perfect'`` or ``'best'``.

    Returns:
        dict[int, int | None]: Frame -> position in ``classes``; None for "none of them".
    """
    counts = {frame: np.array([np.count_nonzero(truth[frame][mask] == label) for label in classes])
              for frame, mask in masks.items()}
    least = 0
    if answers == 'best':  # the same answer for all frames; it must beat the pixels that are right already
        total = sum(counts.values())
        counts = dict.fromkeys(masks, total)
        least = sum(np.count_nonzero((truth[frame] == labels[frame])[mask]) for frame, mask in masks.items())
    return {frame: int(count.argmax()) if count.max() > least else None for frame, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='challenge config with a correction')
    parser.add_argument('--answers', choices=('perfect', 'best'), default='best',
                        help='see above (default: %(default)s)')
    parser.add_argument('--work-dir', help='work dir of the pipeline; its steps before the correction are finished')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--workers', type=int, default=1, help='number of processes (default: %(default)s)')
    args = parser.parse_args()
    work_dir = args.work_dir or default_work_dir(args.config)
    with report_errors():
        cfg = load_config(args.config)
        if args.data_root:
            cfg.dataset.data_root = args.data_root
        plan = load_plan(cfg)
        if plan.correction is None:
            raise UsageError(f'config "{args.config}" has no correction: set `correction`')
        pipeline = ChallengePipeline(plan, work_dir, workers=args.workers)
        if not pipeline.masks:
            raise UsageError(pipeline.report.ground_truth)
        *before, _ = pipeline.steps
        if pipeline.unfinished(before[-1]):
            raise UsageError(f'step "{before[-1]}" is not finished in "{work_dir}": run the pipeline up to the '
                             'correction first (tools/challenge_pipeline.py --cfg-options correction=None)')
        folder = pipeline.folder(before[-1])
        given = ModelPlan(f'{before[-1]}_output', predictions=str(folder))
        alone = ChallengePlan(plan.dataset, {given.name: given}, correction=plan.correction)
        report = ChallengePipeline(alone, Path(work_dir, f'oracle_{args.answers}'), workers=args.workers,
                                   backend=Oracle(pipeline, folder, args.answers)).run()
        print(report.to_text())


if __name__ == '__main__':
    main()
