// Patterns (filter.h).
#include "base/filter.h"

#include <stdio.h>
#include <string.h>

enum { DOTTED_MAX = 2048 };

// Whether `c` is in the set that begins at `*at`, behind its bracket; *at: behind the set's end. A set that has no end stands for its bracket itself.
static bool
in_set(const char **at, char c)
{
    const char *p = *at;
    bool negated = *p == '!', found = false;
    p += negated;
    for (const char *first = p; *p && (*p != ']' || p == first); p++) {
        if (p[1] == '-' && p[2] && p[2] != ']') {
            found |= c >= p[0] && c <= p[2];
            p += 2;
        } else {
            found |= *p == c;
        }
    }
    if (!*p) {
        return c == '[';
    }
    *at = p + 1;
    return found != negated;
}

static bool
glob(const char *pattern, const char *text)
{
    const char *star = NULL, *rest = NULL;  // where to go on after the last star
    while (*text) {
        const char *next = pattern + 1;
        if (*pattern == '*') {
            star = next;
            rest = text;
            pattern = next;
            continue;
        }
        if (*pattern && (*pattern == '?' || (*pattern == '[' ? in_set(&next, *text) : *pattern == *text))) {
            pattern = next;
            text++;
            continue;
        }
        if (!star) {
            return false;
        }
        pattern = star;
        text = ++rest;
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

// `text` is `pattern`, or goes on with `separator` behind it.
static bool
is_at_or_below(const char *pattern, const char *text, char separator)
{
    size_t size = strlen(pattern);
    return strncmp(pattern, text, size) == 0 && (text[size] == '\0' || text[size] == separator);
}

static bool
is_path_of(const char *pattern, const char *file)
{
    size_t size = strlen(pattern), length = strlen(file);
    if (size > 0 && pattern[size - 1] == '/') {
        return strncmp(pattern, file, size) == 0;
    }
    if (size < length && file[length - size - 1] == '/' && strcmp(file + length - size, pattern) == 0) {
        return true;
    }
    return is_at_or_below(pattern, file, '/');
}

bool
pmt_filter_matches(const char *pattern, const pmt_filter_names_t *names)
{
    char dotted[DOTTED_MAX];
    snprintf(dotted, sizeof dotted, "%s%s%s", names->module, names->module[0] ? "." : "", names->name);
    if (strpbrk(pattern, "*?[")) {
        return glob(pattern, names->file) || glob(pattern, names->module) || glob(pattern, names->name) || glob(pattern, dotted);
    }
    return is_at_or_below(pattern, names->module, '.') || is_at_or_below(pattern, names->name, '.') || is_at_or_below(pattern, dotted, '.') ||
           is_path_of(pattern, names->file);
}

bool
pmt_filter_wants(const pmt_filter_t *filter, const pmt_filter_names_t *names)
{
    const char *pattern = filter->texts;
    bool wanted = filter->includes == 0;
    for (size_t i = 0; i < filter->includes; i++, pattern += strlen(pattern) + 1) {
        wanted |= pmt_filter_matches(pattern, names);
    }
    for (size_t i = 0; i < filter->excludes; i++, pattern += strlen(pattern) + 1) {
        wanted &= !pmt_filter_matches(pattern, names);
    }
    return wanted;
}
