"""The cost of one page fault, step by step: bare, and traced below stacks of growing depth.

    python bench/micro/ladder.py [--python PY] [--rounds 20] [--user UID|root]

`--exact` signals every fault; `adaptive` is what `run` does by default, after its period has widened.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare import find_python, positive, trace_folder
from launch import Launcher, LaunchError, choose_identity

SCRIPT = Path(__file__).resolve().with_name("touch_deep.py")
DEPTHS = (1, 100, 1000)


def main() -> int:
    """Print the ladder."""
    options = parse_options()
    try:
        python = find_python(options.python)
        probe = [python, "-c", f"open({str(SCRIPT)!r}).close(); import pymemtrace"]
        identity = choose_identity(options.user, probe)
        with trace_folder(identity) as folder:
            climb(Launcher(identity, folder), python, options.rounds)
    except LaunchError as exc:
        print(f"ladder.py: {exc}", file=sys.stderr)
        return 1
    return 0


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="ladder.py", description="Measure what one traced page fault costs.")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter (default: this one)")
    parser.add_argument("--rounds", type=positive, default=20, metavar="N", help="rounds in one process (default: 20)")
    parser.add_argument("--user", metavar="UID", help="run as this user: a uid or root (default: as now)")
    return parser.parse_args()


def climb(launcher: Launcher, python: str, rounds: int) -> None:
    """Measure and print each rung."""
    print(f"ns a page, best of {rounds} rounds, {launcher.identity.text}\n{'depth':>5} {'bare':>7}", end="")
    print(f" {'--exact':>8} {'adds':>7} {'adaptive':>9}")
    for depth in DEPTHS:
        plain = [str(SCRIPT), str(depth), str(rounds)]
        run = [python, "-m", "pymemtrace", "run", "-q", "-f", "-o", "ladder.pmt"]
        bare, exact, adaptive = (
            int(launcher.check(command).stdout)
            for command in ([python, *plain], [*run, "--exact", *plain], [*run, *plain])
        )
        print(f"{depth:5} {bare:7} {exact:8} {exact - bare:7} {adaptive:9}")


if __name__ == "__main__":
    sys.exit(main())
