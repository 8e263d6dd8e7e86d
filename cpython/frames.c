// Walks the calling thread's Python frames in a signal handler. The thread state is that of this OS thread, which may have released the lock.
// Reads only: no reference counts, no Python calls. A walk costs about 2 ns a frame.
#include "compat.h"
#include "frames.h"
#include "hooks.h"
#include "residency_module.h"

#include "base/hash.h"
#include "prim/prim.h"

// Content fingerprints look at this many words at each end of a text: where texts at a reused address differ. They are taken of every frame at every
// fault, so they multiply and mix once at the end.
enum { SAMPLE_WORDS = 4 };
static const uint64_t FINGERPRINT = 0x9e3779b97f4a7c15ull;

static pmt_pyframe_t *
top_frame_sigsafe(void)
{
    PyThreadState *tstate = PyGILState_GetThisThreadState();
    return tstate ? pmt_compat_top_frame_sigsafe(tstate) : NULL;
}

// ---- code objects ----

typedef struct text_s {
    int kind;  // bytes a code point
    size_t length;
    const void *data;
} text_t;

static text_t
text_sigsafe(PyObject *object)
{
    if (!object || !PyUnicode_Check(object) || !PyUnicode_IS_READY(object)) {
        return (text_t){1, 0, ""};
    }
    return (text_t){(int)PyUnicode_KIND(object), (size_t)PyUnicode_GET_LENGTH(object), PyUnicode_DATA(object)};
}

static uint64_t
fingerprint(uint64_t hash, const void *data, size_t size)
{
    const char *text = data;
    uint64_t word = 0;
    hash = (hash ^ size) * FINGERPRINT;
    if (size < sizeof word) {
        memcpy(&word, text, size);
        return (hash ^ word) * FINGERPRINT;
    }
    size_t words = size / sizeof word < SAMPLE_WORDS ? size / sizeof word : SAMPLE_WORDS;
    for (size_t i = 0; i < words; i++) {
        memcpy(&word, text + i * sizeof word, sizeof word);
        hash = (hash ^ word ^ hash >> 29) * FINGERPRINT;
        memcpy(&word, text + size - (i + 1) * sizeof word, sizeof word);
        hash = (hash ^ word ^ hash >> 29) * FINGERPRINT;
    }
    return hash;
}

// Tells code objects at one address apart. Where the version numbers its code objects that is exact; else it is drawn from what the reports show.
static uint32_t
check_sigsafe(PyCodeObject *code)
{
    uint32_t version = pmt_compat_code_version_sigsafe(code);
    if (version) {
        return version;
    }
    text_t file = text_sigsafe(code->co_filename), name = text_sigsafe(code->co_qualname);
    uint64_t hash = (uint64_t)code->co_firstlineno ^ (uint64_t)(uintptr_t)code->co_linetable;
    hash = fingerprint(hash, file.data, file.length * (size_t)file.kind);
    hash = fingerprint(hash, name.data, name.length * (size_t)name.kind);
    hash = fingerprint(hash, PyBytes_AS_STRING(code->co_linetable), (size_t)PyBytes_GET_SIZE(code->co_linetable));
    return (uint32_t)pmt_hash_mix(hash) | 1;
}

uint32_t
pmt_python_check(PyCodeObject *code)
{
    return check_sigsafe(code);
}

static uint32_t
code_point(text_t text, size_t i)
{
    switch (text.kind) {
    case 1:
        return ((const uint8_t *)text.data)[i];
    case 2:
        return ((const uint16_t *)text.data)[i];
    default:
        return ((const uint32_t *)text.data)[i];
    }
}

// UTF-8 with surrogates like any other code point. 0: no room for it.
static size_t
put_utf8(uint32_t c, char *out, size_t room)
{
    unsigned bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (bytes > room) {
        return 0;
    }
    for (unsigned i = bytes; i-- > 1; c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3f));
    }
    out[0] = (char)(lead[bytes] | c);
    return bytes;
}

// Copies `text` from code point `from` on, as far as it fits.
static uint32_t
copy_text(text_t text, size_t from, char *out, size_t room)
{
    size_t size = 0;
    for (size_t i = from; i < text.length; i++) {
        size_t n = put_utf8(code_point(text, i), out + size, room - size);
        if (!n) {
            break;
        }
        size += n;
    }
    return (uint32_t)size;
}

uint32_t
pmt_python_text(PyObject *text, char *out, size_t room)
{
    return copy_text(text_sigsafe(text), 0, out, room);
}

static void
describe_sigsafe(uint64_t address, pmt_code_info_t *out)
{
    PyCodeObject *code = (PyCodeObject *)(uintptr_t)address;
    text_t file = text_sigsafe(code->co_filename), name = text_sigsafe(code->co_qualname);
    size_t fits = PMT_CODE_FILE_MAX / 4;  // code points that fit whatever they are
    size_t from = file.length > PMT_CODE_FILE_MAX ? file.length - fits : 0;
    out->first_line = code->co_firstlineno > 0 ? (uint32_t)code->co_firstlineno : 0;
    out->file_size = copy_text(file, from, out->file, sizeof out->file);
    out->name_size = copy_text(name, 0, out->name, sizeof out->name);
    out->lines = (const uint8_t *)PyBytes_AS_STRING(code->co_linetable);
    out->lines_size = (size_t)PyBytes_GET_SIZE(code->co_linetable);
}

// ---- stacks ----

static uint32_t
depth_sigsafe(void)
{
    uint32_t depth = 0;
    for (pmt_pyframe_t *frame = top_frame_sigsafe(); frame; frame = frame->previous) {
        depth += pmt_compat_code_sigsafe(frame) != NULL;
    }
    return depth;
}

// Where the frame with `outer` frames outside of it and `inner` inside stands in a stack cut to PMT_STACK_MAX; PMT_STACK_MAX: left out.
static uint32_t
place_of(uint32_t outer, uint32_t inner)
{
    if (outer < PMT_STACK_OUTER) {
        return outer;
    }
    return inner < PMT_STACK_MAX - PMT_STACK_OUTER - 1 ? PMT_STACK_MAX - 1 - inner : PMT_STACK_MAX;
}

static void
put_frame(pmt_stack_t *stack, uint32_t place, pmt_frame_t new, uint32_t *keep)
{
    pmt_frame_t *frame = &stack->frames[place];
    if (frame->code != new.code || frame->offset != new.offset || frame->check != new.check) {
        *frame = new;
        *keep = place < *keep ? place : *keep;
    }
}

static uint32_t
walk_sigsafe(pmt_stack_t *stack, uint32_t depth)
{
    bool cut = depth > PMT_STACK_MAX;
    uint32_t stored = cut ? PMT_STACK_MAX : depth;
    uint32_t keep = stored < stack->depth ? stored : stack->depth;  // lowest place that differs: the walk goes from the innermost outwards
    uint32_t inner = 0;
    for (pmt_pyframe_t *frame = top_frame_sigsafe(); frame && inner < depth; frame = frame->previous) {
        PyCodeObject *code = pmt_compat_code_sigsafe(frame);
        if (!code) {
            continue;
        }
        uint32_t outer = depth - 1 - inner;
        uint32_t place = cut ? place_of(outer, inner) : outer;
        inner++;
        if (place < PMT_STACK_MAX) {
            pmt_frame_t new = {(uint64_t)(uintptr_t)code, pmt_compat_offset_sigsafe(frame, code), check_sigsafe(code)};
            put_frame(stack, place, new, &keep);
        } else if (outer == PMT_STACK_OUTER) {
            put_frame(stack, PMT_STACK_OUTER, (pmt_frame_t){0, depth - (PMT_STACK_MAX - 1), 0}, &keep);
        }
    }
    stack->depth = stored;
    return keep;
}

// ---- signals that come at any instruction ----

// The frame lies among the live ones of the thread's own stack of frames. Nothing behind the pointer is read.
static bool
on_frame_stack(const PyThreadState *tstate, const pmt_pyframe_t *frame)
{
    uintptr_t start = (uintptr_t)frame, end = start + offsetof(pmt_pyframe_t, localsplus);
    const _PyStackChunk *newest = tstate->datastack_chunk;
    for (const _PyStackChunk *chunk = newest; chunk; chunk = chunk->previous) {
        uintptr_t top = chunk == newest ? (uintptr_t)tstate->datastack_top : (uintptr_t)&chunk->data[chunk->top];
        if (start >= (uintptr_t)chunk->data && end <= top) {
            return true;
        }
    }
    return false;
}

// The frame lies in a generator or coroutine that runs.
static bool
in_running_generator(const pmt_pyframe_t *frame)
{
    enum { BEFORE = offsetof(PyGenObject, gi_iframe) - offsetof(PyGenObject, gi_frame_state), SIZE = offsetof(pmt_pyframe_t, localsplus) };
    struct {
        _Alignas(16) char bytes[BEFORE + SIZE];
    } copy;
    if (pmt_prim_peek_sigsafe((uintptr_t)frame - BEFORE, &copy, sizeof copy.bytes) < sizeof copy.bytes) {
        return false;
    }
    return (int8_t)copy.bytes[0] == FRAME_EXECUTING && copy.bytes[BEFORE + offsetof(pmt_pyframe_t, owner)] == FRAME_OWNED_BY_GENERATOR;
}

static bool
is_live(const PyThreadState *tstate, const pmt_pyframe_t *frame)
{
    return on_frame_stack(tstate, frame) || in_running_generator(frame);
}

// The frame runs a code object that exists.
static bool
runs_code(const pmt_pyframe_t *frame)
{
    PyVarObject head;
    PyCodeObject *code = (PyCodeObject *)pmt_compat_executable_sigsafe(frame);
    const _Py_CODEUNIT *at = pmt_compat_instruction_sigsafe(frame), *begin = _PyCode_CODE(code);
    if (pmt_prim_peek_sigsafe((uintptr_t)code, &head, sizeof head) < sizeof head || head.ob_base.ob_type != &PyCode_Type) {
        return false;
    }
    return at + 1 >= begin && at <= begin + head.ob_size;
}

// The entry of an evaluation loop whose caller's frame is live.
static bool
is_entry(const PyThreadState *tstate, const pmt_pyframe_t *frame, uint64_t stack)
{
    enum { SIZE = offsetof(pmt_pyframe_t, localsplus) };  // of what is read: it has no locals
    pmt_pyframe_t entry;
    if ((uintptr_t)frame < stack || pmt_prim_peek_sigsafe((uintptr_t)frame, &entry, SIZE) < SIZE) {
        return false;
    }
    return pmt_compat_is_entry_sigsafe(&entry) && (!entry.previous || is_live(tstate, entry.previous));
}

// While the interpreter enters or leaves its evaluation loop, pushes or pops a frame, the topmost pointers may be those of frames that are gone or not made yet (3.11 and
// 3.12 show an uninitialised one for some instructions). So the two topmost frames are looked at with care; those below are as they were.
static bool
steady_sigsafe(uint64_t stack)
{
    const PyThreadState *tstate = PyGILState_GetThisThreadState();
    const pmt_pyframe_t *frame = top_frame_sigsafe();
    if (!frame) {
        return true;
    }
    if (!is_live(tstate, frame) || pmt_compat_is_dying_sigsafe(frame) || !runs_code(frame)) {
        return false;
    }
    return !frame->previous || is_live(tstate, frame->previous) || is_entry(tstate, frame->previous, stack);
}

const pmt_interp_t pmt_python_interp = {depth_sigsafe, walk_sigsafe, describe_sigsafe, steady_sigsafe, pmt_hooks_open_codes, pmt_hooks_has_begun, pmt_python_allocator};
