"""black: format large modules of docutils to a narrow width (the compiled wheel: native frames below Python ones)."""

from pathlib import Path

import black
import docutils
from _common import Digest, rounds

FILES = ("writers/_html_base.py", "utils/math/latex2mathml.py")
SMALL = ("parsers/rst/roles.py",)


def main() -> None:
    mode = black.Mode(line_length=60, preview=False)
    folder = Path(docutils.__file__).parent
    digest = Digest()
    for name in FILES * rounds(2, 0) or SMALL:
        digest.add(black.format_str((folder / name).read_text("utf-8"), mode=mode))
    digest.show("black")


if __name__ == "__main__":
    main()
