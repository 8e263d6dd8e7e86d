// Hooks on and off, and which code's events are wanted (hooks.h).
#include "hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "capture/event.h"
#include "frames.h"
#include "hooks_inline.h"
#include "prim/prim.h"

static const pmt_hooks_backend_t *const backends[] = {&pmt_hooks_monitoring, &pmt_hooks_profile};

enum { OWN_EXCLUDES = 1 };  // the first pattern of all: our own code

bool pmt_hooks_filtering;

static struct {
    const pmt_hooks_backend_t *backend;  // that is attached; NULL: hooks are off
    pmt_filter_t filter;
    PyObject *awaited;  // owned; NULL: events have begun
} hooks;

// ---- which code is wanted ----

// In the scratch that the interpreter's lock guards: a module's name.
static const char *
module_of(PyObject *globals)
{
    static char module[PMT_CODE_NAME_MAX + 1];
    PyObject *text = globals && PyDict_Check(globals) ? PyDict_GetItemString(globals, "__name__") : NULL;  // borrowed
    module[pmt_python_text(text, module, PMT_CODE_NAME_MAX)] = '\0';
    return module;
}

static bool
is_wanted(PyCodeObject *code, const char *module)
{
    static char file[PMT_CODE_FILE_MAX + 1], name[PMT_CODE_NAME_MAX + 1];  // likewise
    file[pmt_python_text(code->co_filename, file, PMT_CODE_FILE_MAX)] = '\0';
    name[pmt_python_text(code->co_qualname, name, PMT_CODE_NAME_MAX)] = '\0';
    return pmt_filter_wants(&hooks.filter, &(pmt_filter_names_t){file, module, name});
}

// What the recorder knows of its module, as flags.
static uint32_t
place(uint32_t id, const char *module)
{
    return *module && pmt_event_place_code(id, module, strlen(module)) ? PMT_CODE_PLACED : 0;
}

// The module is that of the globals that it runs with now: `frame`, which may run other code.
static PMT_COLD uint32_t
decide(PyCodeObject *code, const pmt_pyframe_t *frame)
{
    pmt_code_table_t *codes = &pmt_session.codes;
    pmt_compat_identity_t is = pmt_compat_code_identity(code);
    uint32_t found = pmt_code_table_find_sigsafe(codes, is.key, is.check);
    bool runs = frame && pmt_compat_executable_sigsafe(frame) == (uintptr_t)code;
    if (found & PMT_CODE_LEFT_OUT) {
        return PMT_HOOKS_LEFT_OUT;
    }
    const char *module = found & PMT_CODE_WANTED ? "" : module_of(runs ? frame->f_globals : NULL);
    if (!(found & PMT_CODE_WANTED) && !is_wanted(code, module)) {
        pmt_code_table_add_sigsafe(codes, is.key, is.check, found | PMT_CODE_LEFT_OUT);
        return PMT_HOOKS_LEFT_OUT;
    }
    uint32_t id = pmt_event_define((uintptr_t)code, pmt_python_check(code), pmt_python_interp.describe_sigsafe, (uintptr_t)code) & PMT_CODE_ID;
    if (id == 0 || id > PMT_LANE_PAYLOAD_MAX) {
        return 0;
    }
    uint32_t placed = found & PMT_CODE_PLACED ? PMT_CODE_PLACED : place(id, module);
    pmt_code_table_add_sigsafe(codes, is.key, is.check, id | PMT_CODE_WANTED | placed);
    return id;
}

uint32_t
pmt_hooks_code_slow(PyCodeObject *code)
{
    return decide(code, pmt_compat_top_frame_sigsafe(PyThreadState_Get()));
}

bool
pmt_hooks_python_slow(PyCodeObject *code, unsigned kind, bool opens)
{
    uint64_t now;
    pmt_lane_t *lane = pmt_lane_begin(&now, opens);
    uint32_t id = lane ? pmt_hooks_code_at(lane, code, opens) : 0;
    if (PMT_UNLIKELY(id == PMT_HOOKS_LEFT_OUT)) {
        return false;
    }
    if (PMT_LIKELY(lane != NULL)) {
        pmt_lane_put(lane, now, kind, id);
        pmt_lane_publish(lane);
    }
    return true;
}

bool
pmt_hooks_c_end_slow(PyCodeObject *code, PyObject *callable, unsigned kind)
{
    return pmt_hooks_c_any(code, callable, kind);
}

bool
pmt_hooks_line_slow(PyCodeObject *code, uint32_t line)
{
    uint64_t now;
    pmt_lane_t *lane = pmt_lane_begin(&now, false);
    if (PMT_UNLIKELY(!lane)) {
        return true;
    }
    uint32_t id = pmt_hooks_code_at(lane, code, false);
    if (PMT_UNLIKELY(id == PMT_HOOKS_LEFT_OUT)) {
        return false;
    }
    pmt_hooks_put_line(lane, now, id, line);
    return true;
}

uint32_t
pmt_hooks_open_codes(uint32_t *out, uint32_t max, bool opens)
{
    uint32_t count = 0;
    for (pmt_pyframe_t *frame = pmt_compat_top_frame_sigsafe(PyThreadState_Get()); frame && count < max; frame = frame->previous) {
        PyCodeObject *code = pmt_compat_code_sigsafe(frame);
        if (opens && !pmt_compat_is_entry_sigsafe(frame)) {
            opens = false;
            continue;
        }
        uint32_t id = code ? decide(code, frame) : PMT_HOOKS_LEFT_OUT;
        if (id != PMT_HOOKS_LEFT_OUT) {
            out[count++] = id;
        }
    }
    for (uint32_t i = 0; i < count / 2; i++) {  // outermost first
        uint32_t id = out[i];
        out[i] = out[count - 1 - i];
        out[count - 1 - i] = id;
    }
    return count;
}

// The interpreter itself runs Python code between the last that we can do and the program's first line.
bool
pmt_hooks_has_begun(void)
{
    const pmt_pyframe_t *frame = pmt_compat_top_frame_sigsafe(PyThreadState_Get());
    if (hooks.awaited && frame && frame->f_globals == hooks.awaited) {
        Py_CLEAR(hooks.awaited);
    }
    return !hooks.awaited;
}

// ---- on and off ----

static void
tell(int socket, const char *key, const char *value)
{
    pmt_session_send_meta(socket, key, value, strlen(value));
}

// `count` patterns from `texts` on, joined with NUL bytes; returns where the next ones begin.
static const char *
tell_patterns(int socket, const char *key, const char *texts, size_t count)
{
    const char *end = texts;
    for (size_t i = 0; i < count; i++) {
        end += strlen(end) + 1;
    }
    if (count) {
        pmt_session_send_meta(socket, key, texts, (size_t)(end - texts) - 1);
    }
    return end;
}

// What the trace has been told of this process: sections may differ, and the trace keeps one value.
static struct {
    uint64_t session;  // when it began
    const char *events, *c_calls, *rss;
} told;

static void
tell_mode(int socket, const char *key, const char *value, const char **before)
{
    *before = *before && strcmp(*before, value) != 0 ? "mixed" : value;
    tell(socket, key, *before);
}

static void
tell_all(int socket, const pmt_hooks_options_t *options)
{
    if (told.session != pmt_session.started) {
        told.events = told.c_calls = told.rss = NULL;
        told.session = pmt_session.started;
    }
    tell_mode(socket, "events", options->lines ? "lines" : "calls", &told.events);
    tell_mode(socket, "events_c", options->c_calls ? "yes" : "no", &told.c_calls);
    tell_mode(socket, "events_rss", options->lanes.rss_every ? "every" : "tracked", &told.rss);
    tell(socket, "events_hooks", hooks.backend->name);
    const char *excludes = tell_patterns(socket, "include", options->filter.texts, options->filter.includes);
    tell_patterns(socket, "exclude", excludes, options->filter.excludes - OWN_EXCLUDES);
}

static size_t
size_of(const pmt_filter_t *filter)
{
    const char *end = filter->texts;
    for (size_t i = 0; i < filter->includes + filter->excludes; i++) {
        end += strlen(end) + 1;
    }
    return (size_t)(end - filter->texts);
}

// Whether other code is wanted than by the filter before.
static bool
take_filter(const pmt_filter_t *filter)
{
    pmt_filter_t *old = &hooks.filter;
    size_t size = size_of(filter);
    bool same = old->texts && old->includes == filter->includes && old->excludes == filter->excludes && size_of(old) == size && memcmp(old->texts, filter->texts, size) == 0;
    PyMem_Free(old->texts);
    *old = *filter;
    pmt_hooks_filtering = filter->includes > 0 || filter->excludes > OWN_EXCLUDES;
    return !same;
}

static int
attach(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX])
{
    char refusal[PMT_REASON_MAX];
    size_t size = 0;
    int err = 0;
    for (size_t i = 0; i < PMT_COUNT(backends) && !hooks.backend; i++) {
        err = backends[i]->attach(options, refusal);
        hooks.backend = err ? NULL : backends[i];
        if (err && err != -ENOSYS && size < PMT_REASON_MAX) {  // not that it is for other versions
            size += (size_t)snprintf(reason + size, PMT_REASON_MAX - size, "%s%s", size ? "; " : "", refusal);
        }
    }
    return hooks.backend ? 0 : err;
}

// To measure with, without a trace too.
static bool
is_measured_alone(pmt_hooks_step_t step)
{
    return step == PMT_HOOKS_EMPTY || step == PMT_HOOKS_CLOCK || step == PMT_HOOKS_LEAST;
}

int
pmt_hooks_on(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX])
{
    pmt_hooks_options_t now = *options;
    int socket = -1;
    reason[0] = '\0';
    pmt_hooks_off();
    now.anew = take_filter(&options->filter);
    if (now.anew && pmt_session.codes.entries) {
        pmt_code_table_forget_choices(&pmt_session.codes);
    }
    hooks.awaited = Py_XNewRef(options->awaited);
    int err = is_measured_alone(options->step) ? pmt_least_begin(pmt_lanes_choose_clock()) : pmt_lanes_open(&options->lanes, &socket);
    if (err < 0) {
        snprintf(reason, PMT_REASON_MAX, "the tracer's buffers for events cannot be had: %s", strerror(-err));
        socket = options->lanes.alone ? -1 : pmt_lanes_connect(-1);
    } else {
        err = attach(&now, reason);
    }
    if (err < 0) {
        pmt_lanes_close();
        tell(socket, "events_reason", reason);
    } else {
        tell_all(socket, options);
    }
    pmt_prim_close_sigsafe(socket);
    return err;
}

static void
tell_displaced(unsigned threads)
{
    char text[16];
    int socket = threads && atomic_load_explicit(&pmt_session.active, memory_order_acquire) ? pmt_lanes_connect(-1) : -1;
    snprintf(text, sizeof text, "%u", threads);
    tell(socket, "events_displaced", text);
    pmt_prim_close_sigsafe(socket);
}

void
pmt_hooks_off(void)
{
    if (hooks.backend) {
        tell_displaced(hooks.backend->detach());
        hooks.backend = NULL;
    }
    Py_CLEAR(hooks.awaited);
    pmt_lanes_close();
}

bool
pmt_hooks_are_on(void)
{
    return hooks.backend != NULL;
}

void
pmt_hooks_add_thread(void)
{
    if (hooks.backend && hooks.backend->add_thread) {
        hooks.backend->add_thread();
    }
}
