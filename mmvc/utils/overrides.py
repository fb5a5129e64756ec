# Copyright (c) The mmvc contributors. All rights reserved.
"""Overrides of a config on the command line."""

from argparse import Action, ArgumentError
from typing import Any


class OverrideAction(Action):
    """Parses ``KEY=VALUE`` arguments as mmengine does; the error names the wrong argument."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Parse the arguments into a dict."""
        for value in values:
            key, separator, _ = value.partition('=')
            if not separator or not all(part.strip() for part in key.split('.')):
                raise ArgumentError(self, f'"{value}" is not KEY=VALUE, such as optim_wrapper.optimizer.lr=1e-4')
        from mmengine.config import DictAction  # slow to import, and only a given option needs it
        parse = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        for value in values:
            try:
                parse(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, RecursionError) as error:
                raise ArgumentError(self, f'"{value}" has a value that cannot be read (are its brackets balanced?)') \
                    from error
