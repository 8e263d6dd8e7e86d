"""Print what a program can see of how it was started."""

import inspect
import sys

spec = globals()["__spec__"]
caller = sys._getframe().f_back

print("argv", sys.argv)
print("path", sys.path)
print("name", __name__)
print("file", globals().get("__file__"))
print("cached", globals().get("__cached__"))
print("doc", globals().get("__doc__"))
print("package", repr(globals().get("__package__")))
print("spec", spec and (spec.name, spec.origin, spec.parent))
print("loader", type(globals().get("__loader__")).__name__, getattr(globals().get("__loader__"), "path", None))
print("dir", sorted(dir()))
print("is __main__", sys.modules["__main__"].__dict__ is globals())
print("builtins", type(globals()["__builtins__"]).__name__)
print("flags", sys.flags)
print("dont_write_bytecode", sys.dont_write_bytecode)
print("stack", [(frame.function, frame.filename, frame.lineno) for frame in inspect.stack()[1:]])
print("caller", caller and caller.f_code.co_qualname)
print("own file", inspect.currentframe().f_code.co_filename, inspect.currentframe().f_code.co_firstlineno)
print("tracing", sys.gettrace(), sys.getprofile(), sys.excepthook is sys.__excepthook__)
print("recursion limit", sys.getrecursionlimit())
