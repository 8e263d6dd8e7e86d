"""An independent tracer of Python programs, in plain Python: what the event log is compared with.

    python slow_tracer.py OUT calls|lines PROGRAM

runs PROGRAM as __main__ and writes one JSON list an event of the program's own code to OUT.PID:
[thread, kind, function, line or None]. `thread` numbers the process's threads in the order of their first event. The
kinds are those of `pymemtrace log`. From 3.12 on it uses sys.monitoring, on 3.11 sys.settrace and sys.setprofile.
"""

import dis
import json
import os
import sys
import threading
import types

_out, _mode, _program = sys.argv[1:4]
_threads: dict[int, int] = {}
_rows: list[list[object]] = []
_pid = os.getpid()
_forking = False  # in a child whose fork() has not returned
_native_id = threading.get_native_id


def _add(kind: str, function: str, line: int | None = None) -> None:
    global _forking
    if _forking and (kind, function) == ("c_return", "fork"):
        _forking = False
        return
    thread = _threads.setdefault(_native_id(), len(_threads))
    _rows.append([thread, kind, function, line])


def _defining_class(owner: type, name: str) -> str:
    return next((c.__qualname__ for c in owner.__mro__ if name in c.__dict__), owner.__qualname__)


def _callee(function: object) -> str:
    """The qualified name of what is called, by the class that defines it."""
    if isinstance(function, types.MethodType):
        return _callee(function.__func__)
    if isinstance(function, type):
        return function.__qualname__
    if isinstance(function, types.MethodWrapperType):
        return f"{function.__objclass__.__qualname__}.{function.__name__}"  # type: ignore[attr-defined]
    if isinstance(function, types.BuiltinFunctionType):
        owner = function.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return function.__qualname__
        found = owner if isinstance(owner, type) and function.__name__ in dir(owner) else type(owner)
        return f"{_defining_class(found, function.__name__)}.{function.__name__}"
    if isinstance(function, types.MethodDescriptorType | types.WrapperDescriptorType | types.ClassMethodDescriptorType):
        return function.__qualname__
    return f"{type(function).__qualname__}.__call__"


def _write() -> None:
    with open(f"{_out}.{_pid}", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in _rows)


# From 3.12 on


def _monitor() -> None:
    monitoring = sys.monitoring
    events = monitoring.events
    monitoring.use_tool_id(4, "slow tracer")

    def own(code: types.CodeType) -> bool:
        return code.co_filename == _program

    def on(kind: str):
        def callback(code: types.CodeType, *rest: object) -> None:
            if own(code):
                _add(kind, code.co_qualname)

        return callback

    def on_c(kind: str):
        def callback(code: types.CodeType, offset: int, function: object, first: object) -> None:
            python = isinstance(function, types.FunctionType) or (
                isinstance(function, types.MethodType) and isinstance(function.__func__, types.FunctionType)
            )
            if own(code) and not python:
                _add(kind, _callee(function))

        return callback

    def on_line(code: types.CodeType, line: int) -> None:
        if own(code):
            _add("line", code.co_qualname, line)

    callbacks = {
        events.PY_START: on("call"),
        events.PY_RETURN: on("return"),
        events.PY_YIELD: on("yield"),
        events.PY_RESUME: on("resume"),
        events.PY_THROW: on("throw"),
        events.PY_UNWIND: on("unwind"),
        events.CALL: on_c("c_call"),
        events.C_RETURN: on_c("c_return"),
        events.C_RAISE: on_c("c_raise"),
    }
    if _mode == "lines":
        callbacks[events.LINE] = on_line
    wanted = 0
    for event, callback in callbacks.items():
        monitoring.register_callback(4, event, callback)
        if event not in (events.C_RETURN, events.C_RAISE):  # they come with CALL
            wanted |= event
    monitoring.set_events(4, wanted)


def _monitor_no_more() -> None:
    sys.monitoring.set_events(4, 0)
    sys.monitoring.free_tool_id(4)


# 3.11


def _begin(frame: types.FrameType) -> str:
    """What a call event is: each activation begins at a RESUME, but one that begins with an exception."""
    at, code = frame.f_lasti, frame.f_code.co_code
    if dis.opname[code[at]] != "RESUME":
        return "throw"
    return "resume" if code[at + 1] & 3 else "call"


def _end(frame: types.FrameType, raising: bool) -> str:
    """What a return event is, by the instruction that the frame has come to."""
    instruction = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    if instruction == "RETURN_VALUE":
        return "return"
    return "yield" if instruction == "YIELD_VALUE" and not raising else "unwind"


def _own_frame(frame: types.FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename == _program


class _FrameTracer:
    """The local trace function of one activation of a frame."""

    def __init__(self) -> None:
        self.raising = False

    def __call__(self, frame: types.FrameType, event: str, argument: object) -> "_FrameTracer":
        name = frame.f_code.co_qualname
        if event == "line":
            self.raising = False
            if _mode == "lines":
                _add("line", name, frame.f_lineno)
        elif event == "exception":
            self.raising = True
        elif event == "return":
            _add(_end(frame, self.raising), name)
        return self


def _trace(frame: types.FrameType, event: str, argument: object) -> _FrameTracer | None:
    if not _own_frame(frame):
        return None
    _add(_begin(frame), frame.f_code.co_qualname)
    return _FrameTracer()


_PROFILED = {"c_call": "c_call", "c_return": "c_return", "c_exception": "c_raise"}


def _profile(frame: types.FrameType, event: str, argument: object) -> None:
    if event in _PROFILED and _own_frame(frame):
        _add(_PROFILED[event], _callee(argument))


def _set_trace() -> None:
    threading.setprofile(_profile)
    threading.settrace(_trace)
    sys.setprofile(_profile)
    sys.settrace(_trace)


def _set_no_trace() -> None:
    sys.settrace(None)
    sys.setprofile(None)


# The run


def _in_child() -> None:
    """A fork child's events are its own, from after the fork on; the frames it is in stay open."""
    global _pid, _forking
    _forking = True
    _pid = os.getpid()
    _rows.clear()
    _threads.clear()


def main() -> None:
    modern = sys.version_info >= (3, 12)
    begin, end = (_monitor, _monitor_no_more) if modern else (_set_trace, _set_no_trace)
    with open(_program, "rb") as file:
        code = compile(file.read(), _program, "exec")
    module = types.ModuleType("__main__")
    module.__file__ = _program
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    sys.argv[:] = [_program]
    os.register_at_fork(after_in_child=_in_child)
    leave = os._exit

    def leave_after_writing(status: int) -> None:
        _add("c_call", "_exit")  # of which this is not one
        _write()
        leave(status)

    os._exit = leave_after_writing
    begin()
    try:
        exec(code, module.__dict__)
    finally:
        end()
        _write()


main()
