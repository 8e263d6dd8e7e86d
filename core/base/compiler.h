// Compiler attributes, named once.
#pragma once

#define PMT_LIKELY(x) __builtin_expect(!!(x), 1)
#define PMT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PMT_COLD __attribute__((cold, noinline))
#define PMT_COUNT(array) (sizeof(array) / sizeof *(array))

// A pointer that the page-fault handler reads on any thread, also on one that never saw our library: the default TLS model of a shared object would
// allocate at the first access, inside a signal handler.
#define PMT_TLS_INITIAL_EXEC __thread __attribute__((tls_model("initial-exec")))
