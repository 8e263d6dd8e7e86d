"""What reads the words behind a verb. What is wrong with them is one line, like every other error."""

import argparse
from typing import NoReturn

from pymemtrace.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Of a verb, or of the verbs."""

    def error(self, message: str) -> NoReturn:
        verb = self.prog.partition(" ")[2]
        raise UsageError(
            f"{verb}: {message} (see {self.prog} --help)" if verb else f"{message} (see {self.prog} --help)"
        )
