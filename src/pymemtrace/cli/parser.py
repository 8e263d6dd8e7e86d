"""What reads the words behind a verb. What is wrong with them is one line, like every other error."""

import argparse
from typing import NoReturn

from pymemtrace.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Of a verb, or of the verbs."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """What a verb does not know is an error of the verb's, not of the whole's."""
        found, rest = super().parse_known_args(args, namespace)
        if rest and " " in self.prog:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        verb = self.prog.partition(" ")[2]
        raise UsageError(
            f"{verb}: {message} (see {self.prog} --help)" if verb else f"{message} (see {self.prog} --help)"
        )
