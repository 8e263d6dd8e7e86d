// Which functions' calls are recorded: patterns on file, module and qualified name. Asked once a code object, outside of the event path.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct pmt_filter_s {
    char *texts;  // NUL-terminated patterns one after the other: first those to include, then those to exclude
    size_t includes, excludes;
} pmt_filter_t;

// A code object's names, UTF-8. `module` may be empty.
typedef struct pmt_filter_names_s {
    const char *file, *module, *name;
} pmt_filter_names_t;

// With includes: one of them must match. None of the excludes may.
bool pmt_filter_wants(const pmt_filter_t *filter, const pmt_filter_names_t *names);

// `pattern` with one of * ? [ is matched as by fnmatch against file, module, qualified name, and module.qualname. One without names a module and what is below it, a function
// or class by its qualified name, with or without the module, and what is below it, or a path: of a file, of a folder with all below it, or the end of a path.
bool pmt_filter_matches(const char *pattern, const pmt_filter_names_t *names);
