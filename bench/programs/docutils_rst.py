"""docutils: render its own documentation (the copy that pyperformance carries) from reStructuredText to HTML."""

from _common import Digest, rounds
from _pyperformance import benchmark_dir
from docutils.core import publish_string

SETTINGS = {
    "_disable_config": True,
    "datestamp": None,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "output_encoding": "unicode",
    "report_level": 5,
    "stylesheet_path": "",
}
FILES = ("ref/rst/restructuredtext.txt", "user/config.txt", "ref/doctree.txt", "dev/todo.txt")
SMALL = ("user/rst/quickstart.txt",)


def main() -> None:
    docs = benchmark_dir("docutils") / "data" / "docs"
    digest = Digest()
    for name in FILES * rounds(3, 0) or SMALL:
        source = (docs / name).read_text("utf-8")
        digest.add(publish_string(source, source_path=name, writer="html5", settings_overrides=SETTINGS))
    digest.show("docutils")


if __name__ == "__main__":
    main()
