# Copyright (c) The mmvc contributors. All rights reserved.
"""Gather the numbers of all runs of a plan."""

from typing import Any

from .plan import Metric, Plan, Run
from .store import Store
from .summary import summarize


def gather(plan: Plan, store: Store, level: float = 0.95) -> dict[str, Any]:
    """Collect the numbers of the finished trainings, and compare the variants with the baseline.

    Args:
        plan (Plan): The plan.
        store (Store): Folder of its trainings.
        level (float): Confidence level of the intervals. Defaults to 0.95.

    Returns:
        dict: Content for a JSON file, with None for undefined numbers:

        - ``title``, ``plan``, ``baseline``, ``seeds``, ``level``, ``metrics``;
        - ``runs``: for each variant and seed, its ``trainings`` by stage, the ``values`` of the metrics, and all
          ``numbers`` by stage and evaluation. What is not finished is missing;
        - ``trainings``: for each training, ``stage``, ``seed``, ``starts_from``, ``used_by``, ``done`` and ``cost``;
        - ``summary``: variant -> metric -> ``mean``, ``std``, ``n`` and ``difference`` to the baseline over the common
          seeds, see :func:`summarize`.
    """
    runs: list[dict[str, Any]] = [
        dict(variant=run.variant, seed=run.seed,
             trainings={stage: training.key for stage, training in run.trainings.items()},
             values={metric.name: value for metric in plan.metrics
                     if (value := _value(run, metric, store)) is not None},
             numbers=_all_numbers(run, store)) for run in plan.runs]
    trainings = {
        training.key: dict(
            stage=training.stage,
            seed=training.seed,
            starts_from=training.parent and training.parent.key,
            used_by=training.used_by,
            done=store.is_done(training),
            cost=store.cost(training))
        for training in plan.ordered_trainings
    }
    return dict(
        title=plan.title,
        plan=plan.path,
        baseline=plan.baseline,
        seeds=plan.seeds,
        level=level,
        metrics=[dict(vars(metric)) for metric in plan.metrics],
        runs=runs,
        trainings=trainings,
        summary=summarize(runs, [variant['name'] for variant in plan.variants],
                          [metric.name for metric in plan.metrics], plan.baseline, level))


def _value(run: Run, metric: Metric, store: Store) -> float | None:
    """Return the value of a metric in a run; None if it is not finished."""
    parts: list[float] = []
    for evaluation in (metric.evaluation, metric.minus):
        if evaluation is not None:
            key = run.evaluations.get((metric.stage, evaluation))
            numbers = store.numbers(run.trainings[metric.stage], key) if key else None
            value = (numbers or {}).get(metric.number)
            if value is None:
                return None
            parts.append(value)
    return parts[0] - parts[1] if metric.minus else parts[0]


def _all_numbers(run: Run, store: Store) -> dict[str, dict[str, dict[str, float]]]:
    """Return the numbers of a run by stage and evaluation."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (stage, evaluation), key in run.evaluations.items():
        numbers = store.numbers(run.trainings[stage], key)
        if numbers is not None:
            found.setdefault(stage, {})[evaluation] = numbers
    return found
