# Copyright (c) The mmvc contributors. All rights reserved.
"""Make the tables and pictures of the documentation from the kept numbers of experiments."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the tool without a traceback

import argparse
import sys

EPILOG = """
A page marks where a table stands:
  <!-- table: NAME -->
  <!-- end -->
DATA/tables.yml says for each NAME which numbers its rows and columns show. DATA/PLAN.json holds the runs of a plan:
values by variant and seed. Means, paired intervals and corrections are computed from them.

examples:
  make all tables of the documentation:
    python tools/analysis_tools/experiment_tables.py
  only compare; exit status 1 if a page differs:
    python tools/analysis_tools/experiment_tables.py --check
  keep the results of a plan, add its new seeds to those kept, and make the tables:
    python tools/analysis_tools/experiment_tables.py --add work_dirs/ablations/tab4_synthetic/results.json
  plot the differences of an experiment to its baseline:
    python tools/analysis_tools/experiment_tables.py --picture tab4_synthetic docs/en/images/tab4_synthetic.png
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pages', nargs='*', default=['docs/en'], metavar='PAGE',
                        help='Markdown files, or folders with them (default: docs/en)')
    parser.add_argument('--data', default='docs/en/experiments/data', metavar='DATA',
                        help='folder of the kept numbers and of tables.yml (default: %(default)s)')
    parser.add_argument('--check', action='store_true', help='write nothing; fail if a page would change')
    parser.add_argument('--add', nargs='+', default=[], metavar='RESULTS',
                        help='results.json of plans (tools/ablate.py), to keep in DATA first')
    parser.add_argument('--picture', nargs=2, action='append', default=[], metavar=('NAME', 'FILE'),
                        help='also plot DATA/NAME.json to FILE (.png, .svg, .pdf)')
    args = parser.parse_args()
    if args.check and (args.add or args.picture):
        parser.error('--check writes nothing, so it takes neither --add nor --picture')
    return args


def main() -> None:
    args = parse_args()
    # these take seconds to import, and --help does not need them
    from mmvc.ablation.doc_pages import DocTables, refresh_pages
    from mmvc.ablation.experiment import Experiment, store_results, to_results
    from mmvc.ablation.plot import plot_results
    from mmvc.engine import report_errors
    with report_errors():
        for path in args.add:
            print(f'{store_results(path, args.data)}: written')
        for name, path in args.picture:
            plot_results(to_results(Experiment(f'{args.data}/{name}.json')), path)
            print(f'{path}: written')
        changed = refresh_pages(args.pages, DocTables(args.data), write=not args.check)
        for page in changed:
            print(f'{page}: {"differs from its numbers" if args.check else "tables written"}')
        if args.check and changed:
            sys.exit('Run the command without --check to write them.')
        if not changed:
            print('all tables agree with their numbers')


if __name__ == '__main__':
    main()
