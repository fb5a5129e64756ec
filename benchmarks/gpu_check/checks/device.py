# Copyright (c) The mmvc contributors. All rights reserved.
"""Device and versions; fails if the device cannot be used."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

import mmvc
from mmvc.utils.compiled_ops import has_compiled_ops
from mmvc.utils.devices import usable_device

from ..recorder import Recorder, Settings

#: what each import name may be installed as
PACKAGES = dict(mmengine=('onedl-mmengine', 'mmengine'), mmcv=('onedl-mmcv', 'mmcv', 'mmcv-lite'),
                mmdet=('onedl-mmdetection', 'mmdet'), mmseg=('onedl-mmsegmentation', 'mmsegmentation'),
                numpy=('numpy', ), triton=('triton', ))


def run(recorder: Recorder, settings: Settings) -> None:
    """Describe the machine, and multiply once on the device."""
    for name, value in {**describe_device(settings.device), **versions()}.items():
        recorder.row(**{name: value})
    device = usable_device(settings.device)
    one = torch.ones(64, 64, device=device)
    recorder.require(bool(((one @ one) == 64).all()), f'{device} computes a wrong product')


def describe_device(device: str) -> dict[str, str]:
    """Name, memory and driver of the device."""
    if device != 'cuda':
        return dict(device=f'CPU ({platform.machine()}, {torch.get_num_threads()} thread(s))')
    if not torch.cuda.is_available():
        return dict(device='no CUDA device', driver=driver())
    properties = torch.cuda.get_device_properties(0)
    return dict(
        device=f'{torch.cuda.device_count()} x {properties.name}',
        memory=f'{properties.total_memory / 2**30:.1f} GiB',
        **{'compute capability': f'{properties.major}.{properties.minor}'},
        driver=driver(),
        **{'TF32 in products': str(torch.backends.cuda.matmul.allow_tf32),
           'TF32 in convolutions': str(torch.backends.cudnn.allow_tf32)})


def driver() -> str:
    """Version of the NVIDIA driver."""
    command = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 'unknown (nvidia-smi does not run)'
    return done.stdout.split('\n')[0].strip()


def versions() -> dict[str, str]:
    """Versions of what takes part."""
    found = dict(python=sys.version.split()[0], torch=torch.__version__, mmvc=mmvc.__version__)
    if torch.version.cuda:
        nccl = '.'.join(map(str, torch.cuda.nccl.version())) if torch.distributed.is_nccl_available() else 'none'
        found.update({'CUDA of torch': torch.version.cuda, 'cuDNN': str(torch.backends.cudnn.version()), 'NCCL': nccl})
    for name, distributions in PACKAGES.items():
        installed = [f'{candidate} {number}' for candidate in distributions if (number := _version(candidate))]
        found[name] = ', '.join(installed) or 'not installed'
    found['compiled ops of mmcv'] = 'yes' if has_compiled_ops() else 'no'
    return found


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
