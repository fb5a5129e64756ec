# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure what category correction can gain at most: answer every question from the ground truth.

    python benchmarks/category_correction.py CONFIG [--answers best] [--work-dir DIR] [--data-root DIR] [--workers 1]

Corrects the predictions of a config's challenge pipeline and prints a report. An oracle replaces the multimodal model.
No real model is involved, so these numbers are bounds, not results.

- perfect: the oracle names the class that covers most of the segment in the displayed frame, or "none of them" if no
  class does. A real model cannot answer better. The scores can still fall, because the whole segment gets the class,
  including pixels that were correct.
- best: the oracle gives the answer (or none) that maximises the correct pixels of the segment over the video. This is
  an upper bound (in pixels) of what these questions can gain.

The results go to oracle_<answers>/ in the work dir, apart from those of the pipeline.
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
from mmvc.challenge.correction.correction import choose_frames
from mmvc.challenge.pipeline import ChallengePipeline, ChallengePlan, load_plan
from mmvc.challenge.pipeline.plan import ModelPlan
from mmvc.engine import default_work_dir, load_config, report_errors
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.errors import UsageError
from mmvc.utils.files import files_in

NONE = 'none of them'


class Oracle(MultimodalBackend):
    """Answers all questions about one set of predictions from the ground truth.

    Args:
        pipeline (ChallengePipeline): Provides images and masks, and the groups and settings of the correction.
        folder (Path): The predictions to correct.
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
                indices = [table.classes.index(name) for name in group.classes]
                masks = {frame: found.mask(segment, frame) for frame in segment.areas}
                in_frame = {frame: np.array([np.count_nonzero(truth[frame][mask] == index) for index in indices])
                            for frame, mask in masks.items()}
                right = sum(np.count_nonzero((truth[frame] == labels[frame])[mask]) for frame, mask in masks.items())
                total = sum(in_frame.values())
                for frame in choose_frames(segment, settings.num_questions):
                    image = cv2.resize(cv2.imread(images[frame]), labels.shape[:0:-1], interpolation=cv2.INTER_AREA)
                    counts, least = (in_frame[frame], 0) if answers == 'perfect' else (total, right)
                    answer = group.classes[int(counts.argmax())] if counts.max() > least else NONE
                    self._answers[self._key(draw_picture(image, masks[frame], settings.picture), question)] = answer

    def ask(self, picture: bytes, question: str) -> str:
        """Return the answer to a question about these predictions."""
        return self._answers[self._key(picture, question)]

    @staticmethod
    def _key(picture: bytes, question: str) -> tuple[str, str]:
        return hashlib.sha256(picture).hexdigest(), question


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='challenge config, with a correction')
    parser.add_argument('--answers', choices=('perfect', 'best'), default='best')
    parser.add_argument('--work-dir', help='work dir of the pipeline, to reuse its finished steps')
    parser.add_argument('--data-root')
    parser.add_argument('--workers', type=int, default=1)
    args = parser.parse_args()
    work_dir = args.work_dir or default_work_dir(args.config)
    with report_errors():
        cfg = load_config(args.config)
        if args.data_root:
            cfg.dataset.data_root = args.data_root
        plan = load_plan(cfg)
        if plan.correction is None:
            raise UsageError(f'config "{args.config}" has no correction')
        pipeline = ChallengePipeline(plan, work_dir, workers=args.workers)
        if not pipeline.masks:
            raise UsageError(pipeline.report.ground_truth)
        *before, _ = pipeline.steps
        if pipeline.unfinished(before[-1]):
            raise UsageError(f'run the pipeline up to the correction first (correction=None): "{before[-1]}" is not '
                             f'finished in "{work_dir}"')
        folder = pipeline.folder(before[-1])
        given = ModelPlan(f'{before[-1]}_output', predictions=str(folder))
        alone = ChallengePlan(plan.dataset, {given.name: given}, correction=plan.correction)
        report = ChallengePipeline(alone, Path(work_dir, f'oracle_{args.answers}'), workers=args.workers,
                                   backend=Oracle(pipeline, folder, args.answers)).run()
        print(report.to_text())


if __name__ == '__main__':
    main()
