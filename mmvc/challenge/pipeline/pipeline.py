# Copyright (c) The mmvc contributors. All rights reserved.
"""All steps in turn, each on what the one before has written; what is finished is not done again."""

import shutil
from collections.abc import Callable
from pathlib import Path

from mmvc.evaluation.files import evaluate_vss
from mmvc.evaluation.files.completeness import compare_files
from mmvc.utils.errors import UsageError, named
from mmvc.utils.files import files_in, videos_in

from ..aggregation.aggregation import aggregate_folders
from ..correction import Asker, CorrectionSettings, MultimodalBackend, correct_folders
from ..records import fingerprint, read_record, write_record
from .plan import AGGREGATION, CORRECTION, ChallengePlan, ModelPlan
from .prediction import MARGINS, prepare_config, run_model
from .report import METRICS, ChallengeReport, StepResult
from .submission import write_submission


class ChallengePipeline:
    """Models and test-time augmentation, aggregation, category correction, submission (arXiv 2406.04979).

    Everything is kept in the work dir: ``predictions/<model>/``, ``aggregation/`` and ``correction/``, each with
    ``<video>/<frame>.png`` of class indices (those of a correction in ``correction/predictions/``, beside its record),
    ``report.json``, ``report.md`` and ``submission.zip``. Run again, it goes on where it was: with the videos, steps
    and numbers that are missing.

    Args:
        plan (ChallengePlan): What to do.
        work_dir (str | Path): Where to keep it.
        processes (int): Processes that test a model, one per GPU. Defaults to 1.
        workers (int): Processes of the other steps. Defaults to 1.
        trust_checkpoint (bool): Whether checkpoints may contain code. Defaults to False.
        backend (MultimodalBackend, optional): Asked instead of the plan's. Defaults to None.
        predict (Callable): Stands for :func:`run_model`, with its arguments.
    """

    def __init__(self,
                 plan: ChallengePlan,
                 work_dir: str | Path,
                 processes: int = 1,
                 workers: int = 1,
                 trust_checkpoint: bool = False,
                 backend: MultimodalBackend | None = None,
                 predict: Callable = run_model) -> None:
        self.plan = plan
        self.work_dir = Path(work_dir)
        self.dataset = plan.build_dataset()
        #: Image files by video, in the order of the frames.
        self.images: dict[str, list[str]] = {}
        #: Mask files by video; empty unless every frame has one.
        self.masks: dict[str, list[str]] = {}
        self.report = ChallengeReport()
        self._processes, self._workers, self._trust = processes, workers, trust_checkpoint
        self._backend, self._predict = backend, predict
        self._chosen: dict[str, str] = {}  # model by video, once there is a choice
        self._list_frames()

    @property
    def steps(self) -> list[str]:
        """Names of the steps that write predictions, in their order."""
        return [*self.plan.models, *[AGGREGATION] * (self.plan.aggregation is not None),
                *[CORRECTION] * (self.plan.correction is not None)]

    def folder(self, step: str) -> Path:
        """Predictions that a step writes, or, of a model with predictions of its own, reads."""
        if step == AGGREGATION:
            return self.work_dir / AGGREGATION
        if step == CORRECTION:
            return self.work_dir / CORRECTION / 'predictions'
        given = self.plan.models[step].predictions
        return self.work_dir / 'predictions' / step if given is None else Path(given)

    def unfinished(self, step: str) -> list[str]:
        """Videos that lack predicted frames."""
        folder = self.folder(step)
        return [video for video, images in self.images.items()
                if {Path(image).stem for image in images} - set(files_in(folder / video, ('.png', )))]

    def discard(self, steps: list[str]) -> None:
        """Remove what steps have written, so that they are done anew; those after them notice.

        Raises:
            UsageError: There is no such step, or its predictions were not made here.
        """
        for step in steps:
            if step not in self.steps:
                raise UsageError(f'there is no step "{step}": the config has {", ".join(self.steps)}')
            if step in self.plan.models and self.plan.models[step].predictions is not None:
                raise UsageError(f'the predictions of "{step}" were not made here, so they are not removed')
        for step in steps:
            shutil.rmtree(self.folder(step), ignore_errors=True)
            self._record(step).unlink(missing_ok=True)

    def run(self) -> ChallengeReport:
        """Do what is left, and write report and submission.

        Returns:
            ChallengeReport: The steps and their numbers.

        Raises:
            UsageError: A step cannot be done or has failed; what is finished is kept.
            OSError: A file is missing or cannot be written.
            ValueError: A file is damaged.
            BackendError: The multimodal model cannot be used as configured.
        """
        last = ''
        for number, step in enumerate(self.steps, 1):
            print(f'[{number}/{len(self.steps)}] {step}', flush=True)
            do = {AGGREGATION: self._aggregate, CORRECTION: self._correct}.get(step, self._run_model)
            result = do(step, last)
            result.numbers = self._score(step)
            self.report.results.append(result)
            self.report.save(self.work_dir)
            last = step
        print('submission', flush=True)
        path = write_submission(self.folder(last), self.images, len(self.dataset.metainfo['classes']),
                                self.work_dir / 'submission.zip')
        print(f'written: {path}')
        return self.report

    def _list_frames(self) -> None:
        """List images and, if every frame has one, masks."""
        without = 0
        for video in self.dataset.load_data_list():
            name, images = video['video_id'], video['images']
            self.images[name] = [image['img_path'] for image in images]
            self.masks[name] = [image['seg_map_path'] for image in images if 'seg_map_path' in image]
            without += len(images) - len(self.masks[name])
        frames = sum(map(len, self.images.values()))
        self.report.ground_truth = f'{len(self.images)} videos, {frames} frames; percent'
        if without:
            self.masks = {}
            self.report.ground_truth = (f'no numbers: {without} of {frames} frames have no ground truth')

    def _record(self, step: str) -> Path:
        """File that says what the predictions of a step were made of."""
        return self.work_dir / 'records' / f'{step}.json'

    def _run_model(self, name: str, _: str) -> StepResult:
        model, folder = self.plan.models[name], self.folder(name)
        if model.predictions is None:
            self._predict_videos(model, folder)
        else:
            unused = compare_files(folder, {video: [Path(image).stem for image in images]
                                            for video, images in self.images.items()})[1]
            if unused:
                raise UsageError(f'models["{name}"].predictions: "{folder}" has predictions of {named(unused)}, which '
                                 'the dataset does not have: add them to its ann_file, or move them away')
        missing = self.unfinished(name)
        if missing:
            raise UsageError(f'"{folder}" has no prediction, or not of every frame, of {len(missing)} videos: '
                             f'{named(missing)}')
        return StepResult('model', name, model.describe(), str(folder), self._without_tta(model))

    def _predict_videos(self, model: ModelPlan, folder: Path) -> None:
        """Test the model on the videos that are left."""
        config = prepare_config(model, self.plan.dataset).to_dict()
        # what decides the predictions: not how they are logged, or the model was trained
        parts = [config.get(key) for key in ('model', 'tta_model', 'tta_pipeline')]
        digest = fingerprint([*parts, config['test_dataloader']['dataset'], model.tta], [model.checkpoint])
        record = self._record(model.name)
        if folder.is_dir() and any(folder.iterdir()) and read_record(record, digest) is None:
            raise UsageError(f'"{folder}" was predicted by another checkpoint, or with another config, dataset or '
                             f'augmentation: discard it with --redo {model.name}, or choose another --work-dir')
        videos = self.unfinished(model.name)
        print(f'{len(self.images) - len(videos)} of {len(self.images)} videos are finished', flush=True)
        if videos:
            write_record(record, digest, dict(config=model.config, checkpoint=model.checkpoint, tta=model.tta))
            self._predict(model, self.plan.dataset, videos, folder, self._model_dir(model.name), self._processes,
                          self._trust)

    def _model_dir(self, name: str) -> Path:
        """Config, log and margins of a model."""
        return self.work_dir / 'models' / name

    def _margins(self) -> dict[str, Path]:
        """Folders of the margins of the videos that have some."""
        margins = {video: self._model_dir(self._chosen.get(video, next(iter(self.plan.models)))) / MARGINS / video
                   for video in self.images}
        return {video: folder for video, folder in margins.items()
                if {Path(image).stem for image in self.images[video]} <= set(files_in(folder, ('.png', )))}

    def _without_tta(self, model: ModelPlan) -> str | None:
        """Name of the same model without test-time augmentation."""
        if model.predictions is None and model.tta:
            for other in self.plan.models.values():
                if (other.config, other.checkpoint, other.tta) == (model.config, model.checkpoint, False):
                    return other.name
        return None

    def _aggregate(self, name: str, _: str) -> StepResult:
        settings = self.plan.aggregation
        assert settings is not None  # or this were no step
        folders = {model: self.folder(model) for model in settings.models}
        choices = aggregate_folders(self._image_folder(), folders, self.folder(name), settings.label_maps,
                                    settings.window, self._workers, self.work_dir / 'records' / AGGREGATION)
        self._chosen = {choice.video: choice.chosen for choice in choices}
        counts = {model: sum(choice.chosen == model for choice in choices) for model in folders}
        details = ', '.join(f'{model}: {count}' for model, count in counts.items())
        for choice in choices:
            scores = ', '.join(f'{model} {score:.5f}' for model, score in choice.scores.items())
            print(f'{choice.video}: {choice.chosen} ({scores})')
        return StepResult('aggregation', name, f'videos from {details}', str(self.folder(name)), settings.models[0])

    def _correct(self, name: str, before: str) -> StepResult:
        settings = self.plan.correction
        assert settings is not None  # or this were no step
        folder = self.work_dir / CORRECTION
        asker = Asker(self._backend or settings.build_backend(), settings.cache or folder / 'cache',
                      settings.requests_per_minute, settings.retries)
        audit = correct_folders(self._image_folder(), self.folder(before), self.folder(name), folder,
                                settings.table(self.dataset.metainfo['classes']), asker,
                                CorrectionSettings(**settings.settings), self._margins(), resume=True)
        counts, outcomes = audit.count(), audit.outcomes()
        print(f'{len(audit.findings)} segments in doubt, {counts["questions"]} questions ({asker.asked} asked now, '
              f'{asker.cached} from the cache), {counts["unusable"]} unusable answers, {counts["refused"]} refused; '
              f'record: {folder / "audit.html"}')
        if counts['failed']:
            raise UsageError(f'{counts["failed"]} questions got no answer, see "{folder / "audit.html"}": run again '
                             f'to ask them; the last error: {audit.last_error()}')
        return StepResult('correction', name, f'{outcomes.get("changed", 0)} of {len(audit.findings)} segments, '
                          f'{asker.backend.name}', str(self.folder(name)), before)

    def _image_folder(self) -> str:
        """Folder of a video's images, with ``{video}`` in the place of its name."""
        return self.dataset.data_prefix['img_path']

    def _score(self, step: str) -> dict[str, float] | None:
        """Numbers of a step in percent; computed once."""
        if not self.masks:
            return None
        folder = self.folder(step)
        predictions = [path for video in videos_in(folder) for path in files_in(folder / video, ('.png', )).values()]
        masks = [path for video in self.masks.values() for path in video]
        classes, offset = self.dataset.metainfo['classes'], self.dataset.label_offset
        digest = fingerprint([list(classes), offset], [*predictions, *masks])
        path = self.work_dir / 'records' / 'scores' / f'{step}.json'
        numbers = read_record(path, digest)
        if numbers is None:
            report = evaluate_vss(folder, self.masks, classes, offset, self._workers)
            numbers = {metric: 100 * report.numbers[metric] for metric in METRICS}
            write_record(path, digest, numbers)
        return numbers
