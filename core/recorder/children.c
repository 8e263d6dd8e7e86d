// Finds the children that nobody announced (trace.h): programs that are not Python, and Python without our bootstrap. Looked for in /proc, so one that lives for
// less than the 10 ms between two looks may be missed.
#include "base/hash.h"
#include "recorder/trace.h"

enum { ARGUMENTS_MAX = 4096 };

typedef struct look_s {
    pmt_trace_t *trace;
    uint32_t parent;
    bool any;
} look_t;

static bool
is_ghost(const pmt_trace_t *trace, uint32_t pid)
{
    const pmt_process_t *ghost = trace->ghosts;
    while (ghost && ghost->pid != pid) {
        ghost = ghost->next;
    }
    return ghost != NULL;
}

static void
visit(uint32_t pid, void *context)
{
    look_t *look = context;
    if (pid != pmt_prim_pid_sigsafe() && !pmt_process_find(look->trace, pid) && !is_ghost(look->trace, pid) && pmt_process_new(look->trace, pid, look->parent, pmt_prim_now_ns_sigsafe())) {
        look->any = true;
    }
}

void
pmt_children_look(pmt_trace_t *trace, bool thorough)
{
    look_t look = {.trace = trace};
    pmt_process_lay_ghosts(trace);
    do {  // a child found now may have children itself: new processes stand in front
        const pmt_process_t *newest = trace->processes;
        look.any = false;
        for (const pmt_process_t *process = newest; process; process = process->next) {
            look.parent = process->pid;
            if (!process->ended) {
                pmt_prim_each_child(process->pid, !thorough, visit, &look);
            }
        }
    } while (look.any);
}

void
pmt_children_describe(pmt_trace_t *trace, pmt_process_t *process)
{
    char arguments[ARGUMENTS_MAX];
    size_t size = pmt_prim_process_arguments(process->pid, arguments, sizeof arguments);
    uint64_t hash = pmt_hash_bytes(0, arguments, size);
    if (size && hash != process->argv_hash) {
        pmt_writer_meta(trace->writer, process->number + 1, "argv", arguments, size - (arguments[size - 1] == '\0'));
        process->argv_hash = hash;
    }
}
