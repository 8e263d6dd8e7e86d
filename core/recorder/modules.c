// Executable mappings (modules.h).
#include "recorder/modules.h"

#include <string.h>

#include "base/array.h"
#include "prim/prim.h"

typedef struct refresh_s {
    pmt_modules_t *modules;
    pmt_writer_t *writer;
    uint32_t process;
    uint32_t *last;
} refresh_t;

void
pmt_modules_fini(pmt_modules_t *modules)
{
    free(modules->list);
    *modules = (pmt_modules_t){0};
}

// A new mapping replaces those it lies over: libraries are unloaded and others loaded in their place.
static void
replace(pmt_modules_t *modules, pmt_module_t module)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < modules->count; i++) {
        if (modules->list[i].end <= module.start || modules->list[i].start >= module.end) {
            modules->list[kept++] = modules->list[i];
        }
    }
    modules->count = kept;
    if (pmt_array_room(&modules->list, kept, &modules->room, sizeof module) == 0) {
        modules->list[modules->count++] = module;
    }
}

static bool
is_system(const char *path)
{
    static const char *const names[] = {"libc.so", "libc-", "ld-linux", "ld-", "libpthread", "ld-musl"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strncmp(name, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return path[0] == '[';
}

static void
visit(const pmt_mapping_t *mapping, void *context)
{
    refresh_t *refresh = context;
    if (!mapping->executable || mapping->path[0] == '\0') {
        return;
    }
    for (uint32_t i = 0; i < refresh->modules->count; i++) {
        const pmt_module_t *known = &refresh->modules->list[i];
        if (known->start == mapping->start && known->end == mapping->end) {
            return;
        }
    }
    pmt_writer_module(refresh->writer, refresh->process, mapping->start, mapping->end - mapping->start, mapping->offset, mapping->path);
    replace(refresh->modules, (pmt_module_t){mapping->start, mapping->end, ++*refresh->last, is_system(mapping->path)});
}

void
pmt_modules_refresh(pmt_modules_t *modules, pmt_writer_t *writer, uint32_t process, uint32_t pid, uint32_t *last)
{
    refresh_t refresh = {modules, writer, process, last};
    modules->read_at = pmt_prim_now_ns_sigsafe();
    pmt_prim_each_mapping(pid, visit, &refresh);
}

const pmt_module_t *
pmt_modules_find(const pmt_modules_t *modules, uint64_t address)
{
    for (uint32_t i = 0; i < modules->count; i++) {
        if (address >= modules->list[i].start && address < modules->list[i].end) {
            return &modules->list[i];
        }
    }
    return NULL;
}
