# Copyright (c) The mmvc contributors. All rights reserved.
"""Ask a multimodal model about segments whose class is in doubt, and correct their class in the whole video."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mmvc.challenge.correction import (
    VSPW_GROUPS,
    AmbiguousGroup,
    Asker,
    CorrectionSettings,
    GroupTable,
    MultimodalBackend,
    OpenAIBackend,
    TransformersBackend,
    correct_folders,
)
from mmvc.challenge.correction.backends import MAX_ANSWER_TOKENS, answer_limit
from mmvc.challenge.correction.questions import PICTURES
from mmvc.datasets.metainfo.vspw import VSPW_CLASSES
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.batch import report_broken
from mmvc.utils.errors import UsageError
from mmvc.utils.files import videos_in
from mmvc.utils.outputs import protect_inputs

EPILOG = """
Predictions are PRED/<video>/<frame>.png, class indices, as tools/test.py --out-dir writes them. A segment is in doubt
if its class is in a group of the config and one of these is true: the class changes in the video, the margin is low
(--margins), or the group has always=True. AUDIT/audit.html shows every question and answer. Answers are cached, so a
second run does not ask them again.

Example of a config with other groups or classes than those of VSPW:
  classes = ('sky', 'sea', 'river')
  groups = [dict(stuff='water', classes=('sea', 'river'), always=True)]

examples:
  # show the questions and their cost at 2.50 and 10 per million tokens, ask nothing
  python tools/correct_categories.py --images 'data/VSPW_480p/data/{video}/origin' --pred work_dirs/val \\
      --audit work_dirs/audit --dry-run --prices 2.5 10
  # ask OpenAI; the API key is in the environment variable OPENAI_API_KEY
  python tools/correct_categories.py --images 'data/VSPW_480p/data/{video}/origin' --pred work_dirs/val \\
      --audit work_dirs/audit --out work_dirs/corrected --backend openai --model gpt-4o --requests-per-minute 60
  # ask your own server (vLLM, Ollama)
  ... --backend openai --base-url http://localhost:11434/v1 --model llava
  # run the model in this process
  ... --backend transformers --model llava-hf/llava-1.5-7b-hf --device cuda --dtype bfloat16
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', required=True, metavar='FOLDER',
                        help='folder with the frames of a video; {video} stands for its name')
    parser.add_argument('--pred', required=True, type=Path, help='folder of the predictions')
    parser.add_argument('--out', type=Path, help='folder for the corrected predictions')
    parser.add_argument('--audit', required=True, type=Path, help='folder for the record of all questions and answers')
    parser.add_argument('--config', help='Python file with `groups` and, for other datasets than VSPW, `classes`')
    parser.add_argument('--margins', type=Path,
                        help='folder of <video>/<frame>.png, 0 to 255: how sure the prediction was at each pixel')
    defaults = CorrectionSettings()
    share, count = NumberArgument(0, 1), NumberArgument(0, whole=True)
    parser.add_argument('--questions', type=NumberArgument(1, whole=True), default=defaults.num_questions,
                        help='number of frames per segment to ask about (default: %(default)s)')
    parser.add_argument('--picture', choices=PICTURES, default=defaults.picture,
                        help='show a crop, or the whole frame with the segment marked (default: %(default)s)')
    parser.add_argument('--min-area', type=share, default=defaults.min_area,
                        help='smallest segment, as a share of the frame (default: %(default)s)')
    parser.add_argument('--min-change', type=share, default=defaults.min_change,
                        help='a segment changes its class if this share of its pixels has another class '
                        '(default: %(default)s)')
    parser.add_argument('--max-margin', type=share, default=defaults.max_margin,
                        help='a segment is in doubt if its mean margin is at most this (default: %(default)s)')
    parser.add_argument('--resume', action='store_true', help='skip videos that an earlier run has finished')
    parser.add_argument('--dry-run', action='store_true', help='show the questions and their cost, ask nothing')
    parser.add_argument('--prices', nargs=2, type=NumberArgument(0), metavar=('INPUT', 'OUTPUT'),
                        help='prices of a million input and output tokens, to estimate the cost')
    parser.add_argument('--picture-tokens', type=count, default=800,
                        help='number of tokens of a picture in the estimate (default: %(default)s)')
    parser.add_argument('--backend', choices=('openai', 'transformers'), default='openai',
                        help='ask a server, or run the model in this process (default: %(default)s)')
    parser.add_argument('--model', help='name of the model')
    parser.add_argument('--base-url', help='address of a server with the API of OpenAI')
    parser.add_argument('--api-key-env', default='OPENAI_API_KEY', metavar='VARIABLE',
                        help='environment variable with the API key (default: %(default)s)')
    parser.add_argument('--timeout', type=NumberArgument(0, above=True), default=60,
                        help='seconds to wait for an answer (default: %(default)s)')
    parser.add_argument('--options', type=parse_options, metavar='JSON',
                        help='further arguments of a request, instead of {"temperature": 0, "max_tokens": 32}; '
                        'reasoning models need for example {"max_completion_tokens": 2000}')
    parser.add_argument('--device', default='cpu', help='device of --backend transformers (default: %(default)s)')
    parser.add_argument('--dtype', help='type of the weights with --backend transformers, e.g. bfloat16')
    parser.add_argument('--cache', type=Path, help='folder of the cached answers (default: AUDIT/cache)')
    parser.add_argument('--requests-per-minute', type=NumberArgument(0, above=True),
                        help='highest rate of requests (default: no limit)')
    parser.add_argument('--retries', type=count, default=5,
                        help='number of retries after a temporary error (default: %(default)s)')
    args = parser.parse_args()
    if not args.dry_run and not (args.model and args.out):
        parser.error('give --model and --out, or --dry-run')
    return args


def parse_options(text: str) -> dict:
    """Parse the further arguments of a request."""
    try:
        options = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not JSON ({error})') from error
    if not isinstance(options, dict):
        raise argparse.ArgumentTypeError(f'expected a JSON object such as {{"max_tokens": 32}}, found {text!r}')
    return options


def load_groups(path: str | None) -> tuple[Sequence[AmbiguousGroup], Sequence[str]]:
    """Load the groups and classes of a config; those of VSPW if there is no config."""
    if path is None:
        return VSPW_GROUPS, VSPW_CLASSES
    from mmvc.engine import load_config
    config = load_config(path)
    if 'groups' not in config:
        raise UsageError(f'config "{path}" has no `groups`: add a list of dict(stuff=..., classes=...), see --help')
    try:
        groups = [AmbiguousGroup(**group) for group in config.groups]
    except (TypeError, ValueError) as error:
        raise UsageError(f'config "{path}": groups: {error}') from error
    return groups, config.get('classes', VSPW_CLASSES)


def build_backend(args: argparse.Namespace) -> MultimodalBackend:
    """Build the multimodal model of the command line."""
    if args.backend == 'transformers':
        return TransformersBackend(args.model, args.device, args.dtype)
    return OpenAIBackend(args.model, args.base_url, args.api_key_env, args.timeout, args.options)


def main() -> None:
    args = parse_args()
    from mmvc.engine import report_errors  # takes seconds to import, and --help does not need it
    settings = CorrectionSettings(args.questions, args.picture, args.min_area, args.min_change, args.max_margin)
    with report_errors():
        protect_inputs([args.cache], [args.pred, args.margins], '--cache')
        table = GroupTable(*load_groups(args.config))
        asker = None if args.dry_run else Asker(
            build_backend(args), args.cache or args.audit / 'cache', args.requests_per_minute, args.retries)
        audit = correct_folders(args.images, args.pred, None if args.dry_run else args.out, args.audit, table, asker,
                                settings, args.margins, args.resume, keep_going=True)
        counts = audit.count()
        for finding in audit.findings:
            change = f'{finding.old} -> {finding.new}' if finding.new else finding.old
            print(f'{finding.video}, segment {finding.segment} ({finding.reason}): {change}, {finding.outcome}')
            if args.dry_run:
                for inquiry in finding.inquiries:
                    print(f'  frame {inquiry.frame}: {inquiry.question}')
        print(f'{len(audit.findings)} segments in doubt, {counts["questions"]} questions; '
              + ', '.join(f'{number} {outcome}' for outcome, number in sorted(audit.outcomes().items())))
        if args.prices:
            input_price, output_price = args.prices
            limit = MAX_ANSWER_TOKENS if args.backend == 'transformers' else answer_limit(args.options)
            cost = audit.estimate_cost(input_price, output_price, args.picture_tokens, limit or 0)
            print(f'cost: at most about {cost:.2f}' if limit is not None else
                  f'cost: at least about {cost:.2f} (only the questions: --options sets no limit for the answers)')
        if asker is not None:
            print(f'{asker.asked} answers asked for, {asker.cached} from the cache; {counts["unusable"]} answers name '
                  f'none of the classes and change nothing, {counts["refused"]} questions were refused')
            print(f'written: {args.out}')
        print(f'record: {args.audit / audit.name}.html')
        if audit.broken:
            report_broken(audit.broken, len(videos_in(args.pred)), 'corrected')
        if counts['failed']:
            raise SystemExit(f'error: {counts["failed"]} questions got no answer, see the record: run again to ask '
                             f'them; the last error: {audit.last_error()}')


if __name__ == '__main__':
    main()
