# Copyright (c) The mmvc contributors. All rights reserved.
"""Run all steps in turn, each on the output of the step before; finished work is skipped."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mmvc.evaluation.files import evaluate_vss
from mmvc.evaluation.files.completeness import compare_files
from mmvc.formats.vspw import frame_of
from mmvc.utils.batch import report_broken
from mmvc.utils.errors import UsageError, named
from mmvc.utils.files import files_in, videos_in
from mmvc.utils.outputs import protect_inputs

from ..aggregation import aggregate_folders
from ..correction import Asker, CorrectionSettings, MultimodalBackend, correct_folders
from ..records import fingerprint, read_record, write_record
from .plan import AGGREGATION, CORRECTION, ChallengePlan, ModelPlan
from .prediction import MARGINS, prepare_config, run_model
from .report import REPORTED, ChallengeReport, StepResult
from .submission import write_submission


class ChallengePipeline:
    """Models and test-time augmentation, aggregation, category correction, submission (arXiv 2406.04979).

    All results are in the work dir. ``predictions/<model>/``, ``aggregation/`` and ``correction/predictions/`` hold
    ``<video>/<frame>.png``, class indices. ``correction/`` also holds the record of all questions. ``report.json``,
    ``report.md`` and ``submission.zip`` are beside them. A second run only does what is missing: videos, steps and
    numbers.

    Args:
        plan (ChallengePlan): The checked challenge config.
        work_dir (str | Path): Folder of all results.
        processes (int): Number of processes that test a model, one per GPU. Defaults to 1.
        workers (int): Number of processes of the other steps. Defaults to 1.
        trust_checkpoint (bool): Whether checkpoints may contain code. Defaults to False.
        backend (MultimodalBackend, optional): The multimodal model. Defaults to None: that of the plan.
        predict (Callable): Predicts videos with a model; has the arguments of :func:`run_model`. Defaults to
            :func:`run_model`.

    Attributes:
        images (dict[str, list[str]]): Image files by video, in the order of the frames.
        masks (dict[str, list[str]]): Mask files by video. Empty unless every frame has one.
        report (ChallengeReport): The results of the steps so far.
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
        self.images: dict[str, list[str]] = {}
        self.masks: dict[str, list[str]] = {}
        self.report = ChallengeReport()
        self._processes, self._workers, self._trust = processes, workers, trust_checkpoint
        self._backend, self._predict = backend, predict
        self._chosen: dict[str, str] = {}  # chosen model by video, after the aggregation
        self._list_frames()
        self._protect_inputs()

    @property
    def steps(self) -> list[str]:
        """Names of the steps that write predictions, in order."""
        steps = list(self.plan.models)
        if self.plan.aggregation is not None:
            steps.append(AGGREGATION)
        if self.plan.correction is not None:
            steps.append(CORRECTION)
        return steps

    def folder(self, step: str) -> Path:
        """Return the folder of the predictions of a step."""
        if step == AGGREGATION:
            return self.work_dir / AGGREGATION
        if step == CORRECTION:
            return self.work_dir / CORRECTION / 'predictions'
        given = self.plan.models[step].predictions
        return self.work_dir / 'predictions' / step if given is None else Path(given)

    def unfinished(self, step: str) -> list[str]:
        """List the videos for which a step has not predicted all frames."""
        folder = self.folder(step)
        return [video for video, images in self.images.items()
                if self._names(images) - set(files_in(folder / video, ('.png', )))]

    def _names(self, images: Sequence[str]) -> set[str]:
        """Return the names of the frames of images."""
        return {frame_of(image, self.dataset.img_suffix) for image in images}

    def discard(self, steps: list[str]) -> None:
        """Remove the results of steps, so that they run again. Later steps then notice that their input changed.

        Args:
            steps (list[str]): Names of the steps.

        Raises:
            UsageError: There is no such step, or its predictions were not made by the pipeline.
        """
        for step in steps:
            if step not in self.steps:
                raise UsageError(f'there is no step "{step}": the config has {", ".join(self.steps)}')
            if step in self.plan.models and self.plan.models[step].predictions is not None:
                raise UsageError(f'the predictions of "{step}" were not made here, so they are not removed: leave the '
                                 'step out of --redo')
        for step in steps:
            shutil.rmtree(self.folder(step), ignore_errors=True)
            self._record(step).unlink(missing_ok=True)

    def run(self) -> ChallengeReport:
        """Run the steps that are not finished, and write the report and the submission.

        Returns:
            ChallengeReport: The results of all steps.

        Raises:
            UsageError: A step failed. Finished work is kept.
            OSError: A file is missing or cannot be written.
            DataError: A file is damaged.
            BackendError: The multimodal model cannot be used as configured.
        """
        last = ''
        for number, step in enumerate(self.steps, 1):
            print(f'[{number}/{len(self.steps)}] {step}', flush=True)
            if step == AGGREGATION:
                result = self._aggregate()
            elif step == CORRECTION:
                result = self._correct(last)
            else:
                result = self._run_model(step)
            result.numbers = self._score(step)
            self.report.results.append(result)
            self.report.save(self.work_dir)
            last = step
        print('submission', flush=True)
        path = write_submission(self.folder(last), self.images, len(self.dataset.metainfo['classes']),
                                self.work_dir / 'submission.zip', self.dataset.img_suffix)
        print(f'written: {path}')
        return self.report

    def _list_frames(self) -> None:
        """List the images and, if every frame has one, the masks."""
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
            self.report.ground_truth = f'no numbers: {without} of {frames} frames have no ground truth'

    def _protect_inputs(self) -> None:
        """Raise an error if a step would write over the dataset or over predictions that were made elsewhere."""
        given = [model.predictions for model in self.plan.models.values()]
        own = [self.folder(step) for step in self.steps
               if step not in self.plan.models or self.plan.models[step].predictions is None]
        files = [path for paths in (*self.images.values(), *self.masks.values()) for path in paths]
        protect_inputs([*own, self.work_dir / CORRECTION, self.work_dir / 'records'],
                       [*{Path(path).parent for path in files}, *given], '--work-dir')

    def _record(self, step: str) -> Path:
        """Return the file with the fingerprint of the inputs of a step."""
        return self.work_dir / 'records' / f'{step}.json'

    def _run_model(self, name: str) -> StepResult:
        """Predict the missing videos with a model, or check the given predictions."""
        model, folder = self.plan.models[name], self.folder(name)
        if model.predictions is None:
            self._predict_videos(model, folder)
        else:
            unused = compare_files(folder, {video: sorted(self._names(images))
                                            for video, images in self.images.items()})[1]
            if unused:
                raise UsageError(f'models["{name}"].predictions: "{folder}" has predictions of {named(unused)}, which '
                                 'the dataset does not have: add them to ann_file of the dataset, or remove the '
                                 'predictions')
        missing = self.unfinished(name)
        if missing:
            raise UsageError(f'"{folder}" has no prediction, or not of every frame, of {len(missing)} videos: '
                             f'{named(missing)}. Predict these videos')
        return StepResult('model', name, model.describe(), str(folder), self._without_tta(model))

    def _predict_videos(self, model: ModelPlan, folder: Path) -> None:
        """Test the model on the videos that have no predictions."""
        config = prepare_config(model, self.plan.dataset).to_dict()
        # only these parts of the config influence the predictions
        parts = [config.get(key) for key in ('model', 'tta_model', 'tta_pipeline')]
        digest = fingerprint([*parts, config['test_dataloader']['dataset'], model.tta], [model.checkpoint])
        record = self._record(model.name)
        if folder.is_dir() and any(folder.iterdir()) and read_record(record, digest) is None:
            raise UsageError(f'"{folder}" was predicted with another checkpoint, config, dataset or augmentation: '
                             f'discard it with --redo {model.name}, or choose another --work-dir')
        videos = self.unfinished(model.name)
        print(f'{len(self.images) - len(videos)} of {len(self.images)} videos are finished', flush=True)
        if videos:
            write_record(record, digest, dict(config=model.config, checkpoint=model.checkpoint, tta=model.tta))
            self._predict(model, self.plan.dataset, videos, folder, self._model_dir(model.name), self._processes,
                          self._trust)

    def _model_dir(self, name: str) -> Path:
        """Return the folder of the config, log and margins of a model."""
        return self.work_dir / 'models' / name

    def _margins(self) -> dict[str, Path]:
        """Return the folder of the margins of each video that has margins for all frames.

        The margins are those of the model that was chosen for the video, or of the only model.
        """
        only_model = next(iter(self.plan.models))
        folders = {}
        for video, images in self.images.items():
            folder = self._model_dir(self._chosen.get(video, only_model)) / MARGINS / video
            if self._names(images) <= set(files_in(folder, ('.png', ))):
                folders[video] = folder
        return folders

    def _without_tta(self, model: ModelPlan) -> str | None:
        """Return the name of the same model without test-time augmentation; None if there is none."""
        if model.predictions is None and model.tta:
            for other in self.plan.models.values():
                if (other.config, other.checkpoint, other.tta) == (model.config, model.checkpoint, False):
                    return other.name
        return None

    def _aggregate(self) -> StepResult:
        """Choose a model for each video."""
        settings, output_dir = self.plan.aggregation, self.folder(AGGREGATION)
        assert settings is not None  # the step exists only if it is configured
        folders = {model: self.folder(model) for model in settings.models}
        choices = aggregate_folders(self._image_folder(), folders, output_dir, settings.treatment, settings.window,
                                    self._workers, self.work_dir / 'records' / AGGREGATION, keep_going=True)
        if broken := {choice.video: choice.error for choice in choices if choice.error is not None}:
            report_broken(broken, len(choices), 'aggregated')
        self._chosen = {choice.video: choice.chosen for choice in choices}
        counts = {model: sum(choice.chosen == model for choice in choices) for model in folders}
        details = ', '.join(f'{model}: {count}' for model, count in counts.items())
        for choice in choices:
            scores = ', '.join(f'{model} {score:.5f}' for model, score in choice.scores.items())
            print(f'{choice.video}: {choice.chosen} ({scores})')
        return StepResult('aggregation', AGGREGATION, f'videos from {details}', str(output_dir), settings.models[0])

    def _correct(self, before: str) -> StepResult:
        """Correct the predictions of the step before."""
        settings, output_dir = self.plan.correction, self.folder(CORRECTION)
        assert settings is not None  # the step exists only if it is configured
        folder = self.work_dir / CORRECTION
        asker = Asker(self._backend or settings.build_backend(), settings.cache or folder / 'cache',
                      settings.requests_per_minute, settings.retries)
        audit = correct_folders(self._image_folder(), self.folder(before), output_dir, folder,
                                settings.table(self.dataset.metainfo['classes']), asker,
                                CorrectionSettings(**settings.settings), self._margins(), resume=True,
                                keep_going=True)
        if audit.broken:
            report_broken(audit.broken, len(self.images), 'corrected')
        counts, outcomes = audit.count(), audit.outcomes()
        print(f'{len(audit.findings)} segments in doubt, {counts["questions"]} questions ({asker.asked} asked now, '
              f'{asker.cached} from the cache), {counts["unusable"]} unusable answers, {counts["refused"]} refused; '
              f'record: {folder / "audit.html"}')
        if counts['failed']:
            raise UsageError(f'{counts["failed"]} questions got no answer, see "{folder / "audit.html"}": run again '
                             f'to ask them. The last error: {audit.last_error()}')
        return StepResult('correction', CORRECTION, f'{outcomes.get("changed", 0)} of {len(audit.findings)} segments, '
                          f'{asker.backend.name}', str(output_dir), before)

    def _image_folder(self) -> str:
        """Return the folder of the images of a video; ``{video}`` stands for its name."""
        return self.dataset.data_prefix['img_path']

    def _score(self, step: str) -> dict[str, float] | None:
        """Return the metrics of a step in percent, cached on disk; None without ground truth."""
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
            report = evaluate_vss(folder, self.masks, classes, offset, self._workers,
                                  void_values=self.dataset.void_values, mask_ending=self.dataset.seg_map_suffix)
            numbers = {metric: 100 * report.numbers[metric] for metric in REPORTED}
            write_record(path, digest, numbers)
        return numbers
