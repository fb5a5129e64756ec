# Copyright (c) The mmvc contributors. All rights reserved.
"""Run an ablation as job arrays of Slurm."""

import shlex
from collections.abc import Sequence

from .plan import Training

_HEAD = """#!/usr/bin/env bash
# Submit the trainings of "{title}": one job array per stage; each starts after the one before. Run it on a login node.
# Arguments are passed to every sbatch, e.g. --partition gpu --time 24:00:00
set -euo pipefail
cd {folder}
after=()
"""
_ARRAY = """
# {names}
job=$(sbatch --parsable --job-name {name} --array={first}-{last} --ntasks {tasks} --ntasks-per-node {tasks_per_node} \\
    --cpus-per-task {cpus}{gres} --output {logs}/%x-%A_%a.txt "${{after[@]}}" "$@" \\
    --wrap {command})
after=(--dependency "afterany:${{job%%;*}}")  # if one training fails, the others still run
"""
_TAIL = """
sbatch --job-name {name} --ntasks 1 --output {logs}/%x-%j.txt "${{after[@]}}" "$@" --wrap {command}
"""


def slurm_script(title: str,
                 trainings: Sequence[Training],
                 command: Sequence[str],
                 folder: str,
                 logs: str,
                 gpus: int = 1,
                 cpus: int = 5) -> str:
    """Write a script that submits the trainings.

    Args:
        title (str): Title of the ablation.
        trainings (Sequence[Training]): Trainings in the order of :attr:`Plan.ordered_trainings`. Their positions are
            the numbers of ``--only``.
        command (Sequence[str]): Command of the tool with the plan and all options except ``--only``.
        folder (str): Working directory of the jobs.
        logs (str): Folder for the output of the jobs.
        gpus (int): Number of GPUs per training, with one process each. With 0, the CPU is used. Defaults to 1.
        cpus (int): Number of CPU cores per process. Defaults to 5.

    Returns:
        str: Text of the script.
    """
    quoted = ' '.join(shlex.quote(part) for part in command)
    parts: list[str] = [_HEAD.format(title=title, folder=shlex.quote(folder))]
    for depth in range(1 + max(training.depth for training in trainings)):
        numbers = [i for i, training in enumerate(trainings) if training.depth == depth]
        stages = sorted({trainings[i].stage for i in numbers})
        launcher = ' --launcher slurm' if gpus > 1 else ''
        parts.append(_ARRAY.format(
            names=f'{len(numbers)} x {", ".join(stages)}',
            name=f'ablate-{stages[0]}',
            first=numbers[0],
            last=numbers[-1],
            tasks=max(gpus, 1),
            tasks_per_node=min(max(gpus, 1), 8),
            cpus=cpus,
            gres=f' --gres gpu:{min(gpus, 8)}' if gpus else '',
            logs=shlex.quote(logs),
            # since Slurm 22.05, srun does not inherit --cpus-per-task from sbatch
            command=shlex.quote(f'srun --cpus-per-task $SLURM_CPUS_PER_TASK {quoted} '
                                f'--only $SLURM_ARRAY_TASK_ID{launcher}')))
    parts.append(_TAIL.format(name='ablate-report', logs=shlex.quote(logs),
                              command=shlex.quote(f'{quoted} --report-only')))
    return ''.join(parts)
