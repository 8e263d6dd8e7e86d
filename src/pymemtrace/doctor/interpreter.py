"""Facts about this Python: version, build, where it comes from. No check needs a fake of `sys`, only one of these."""

import os
import platform
import sys
import sysconfig
from dataclasses import dataclass, field


def _configured(name: str) -> bool:
    return bool(sysconfig.get_config_var(name))


@dataclass(frozen=True)
class Interpreter:
    """This interpreter. prefix: where it is installed, also inside a virtual environment."""

    implementation: str = sys.implementation.name
    version: str = field(default_factory=platform.python_version)
    version_info: tuple[int, int] = sys.version_info[:2]
    executable: str = sys.executable or ""
    prefix: str = sys.base_prefix
    environment: str | None = None if sys.prefix == sys.base_prefix else sys.prefix  # a virtual environment's folder
    debug: bool = hasattr(sys, "gettotalrefcount")
    free_threaded: bool = field(default_factory=lambda: _configured("Py_GIL_DISABLED"))
    shared: bool = field(default_factory=lambda: _configured("Py_ENABLE_SHARED"))
    pymalloc: bool = field(default_factory=lambda: _configured("WITH_PYMALLOC"))
    dev_mode: bool = sys.flags.dev_mode
    ignores_environment: bool = bool(sys.flags.ignore_environment)
    c_library: str = field(default_factory=lambda: " ".join(platform.libc_ver()).strip())

    @property
    def origin(self) -> str:
        """Who installed it, as far as its path tells."""
        if "/.pyenv/" in self.prefix or "/pyenv/versions/" in self.prefix:
            return "pyenv"
        if os.path.isdir(os.path.join(self.prefix, "conda-meta")):
            return "conda"
        if "/uv/python/" in self.prefix:
            return "uv"
        return "system" if self.prefix == "/usr" else "own installation"
