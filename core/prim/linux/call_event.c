// Signals after system calls of the C library, by hardware breakpoints that send SIGTRAP (prim.h). The processor compares addresses, so the code is as it was; a debugger may have
// taken the registers for it. x86-64 alone: there a system call leaves its arguments where they were, and puts its result beside them; arm64 overwrites the first.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "prim/linux/perf.h"
#include "prim/prim.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24  // Linux 5.18
#endif

typedef struct call_s {
    const char *name;
    long number;
} call_t;
static const call_t calls[PMT_CALLS] = {
    [PMT_CALL_MUNMAP] = {"munmap", SYS_munmap},
    [PMT_CALL_MADVISE] = {"madvise", SYS_madvise},
    [PMT_CALL_MREMAP] = {"mremap", SYS_mremap},
#ifdef SYS_brk
    [PMT_CALL_BRK] = {"brk", SYS_brk},
#endif
};

static _Atomic uint64_t present_break;

const char *
pmt_prim_call_name(enum pmt_call_e call)
{
    return calls[call].name;
}

#if defined(__x86_64__)
// The instruction after `mov $NUMBER, %eax .. syscall`; NULL: there is none.
static const uint8_t *
after_system_call(const uint8_t *code, size_t size, uint32_t number)
{
    enum { LOAD = 0xb8, LOAD_SIZE = 5, BETWEEN = 16 };
    const uint8_t *loaded = NULL;
    for (size_t i = 0; i + LOAD_SIZE <= size; i++) {
        if (code[i] == LOAD && memcmp(code + i + 1, &number, sizeof number) == 0) {
            loaded = code + i + LOAD_SIZE;
        } else if (loaded && code + i >= loaded && code + i <= loaded + BETWEEN && code[i] == 0x0f && code[i + 1] == 0x05) {
            return code + i + 2;
        }
    }
    return NULL;
}

// In the C library itself: something preloaded may stand in front of it.
static const uint8_t *
find_slow(const call_t *call)
{
    void *library = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void *function = dlsym(library ? library : RTLD_DEFAULT, call->name), *entry = NULL;
    Dl_info info;
    bool known = function && dladdr1(function, &info, &entry, RTLD_DL_SYMENT) && entry;
    if (library) {
        dlclose(library);
    }
    return known ? after_system_call(function, ((const ElfW(Sym) *)entry)->st_size, (uint32_t)call->number) : NULL;
}
#else
static const uint8_t *
find_slow(const call_t *call)
{
    (void)call;
    return NULL;
}
#endif

uint64_t
pmt_prim_call_find(enum pmt_call_e call)
{
    static uint64_t found[PMT_CALLS];  // once for all: in a fork child the loader's lock may be another thread's for ever
    static bool sought[PMT_CALLS];
    if (!sought[call]) {
        found[call] = (uint64_t)(uintptr_t)find_slow(&calls[call]);
        sought[call] = true;
    }
    if (call == PMT_CALL_BRK) {
        atomic_store_explicit(&present_break, (uint64_t)syscall(SYS_brk, 0), memory_order_relaxed);
    }
    return found[call];
}

int
pmt_prim_call_event_open_sigsafe(uint32_t tid, uint64_t instruction, uint64_t cookie)
{
    struct perf_event_attr attr = pmt_perf_signals(1, cookie);
    attr.type = PERF_TYPE_BREAKPOINT;
    attr.bp_type = HW_BREAKPOINT_X;
    attr.bp_addr = instruction;
    attr.bp_len = sizeof(long);
    return pmt_perf_open_sigsafe(&attr, tid);
}

void
pmt_prim_call_event_reason(int err, char *out, size_t size)
{
    if (err == -ENOSPC) {
        snprintf(out, size, "the processor's registers for breakpoints are taken, as by a debugger (perf_event_open: %s)", strerror(-err));
    } else if (err == -ENODEV || err == -EOPNOTSUPP || err == -ENOENT) {
        snprintf(out, size, "this machine offers no hardware breakpoints (perf_event_open: %s)", strerror(-err));
    } else {
        pmt_prim_fault_event_reason(err, out, size);
    }
}

bool
pmt_prim_call_try(enum pmt_call_e call)
{
    void *nowhere = (void *)(uintptr_t)PMT_CALL_NOWHERE;
    int saved_errno = errno;
    switch (call) {
    case PMT_CALL_MUNMAP:
        munmap(nowhere, 1);
        break;
    case PMT_CALL_MADVISE:
        madvise(nowhere, 1, MADV_NORMAL);
        break;
    case PMT_CALL_MREMAP:
        mremap(nowhere, 1, 1, 0);
        break;
    default:
        return false;
    }
    errno = saved_errno;
    return true;
}

void
pmt_prim_call_seen_sigsafe(const pmt_fault_signal_t *signal, pmt_call_seen_t *out)
{
#if defined(__x86_64__)
    const greg_t *registers = ((const ucontext_t *)signal->context)->uc_mcontext.gregs;
    *out = (pmt_call_seen_t){
        .arguments = {(uint64_t)registers[REG_RDI], (uint64_t)registers[REG_RSI], (uint64_t)registers[REG_RDX]},
        .result = (int64_t)registers[REG_RAX],
    };
#else
    *out = (pmt_call_seen_t){.result = -ENOSYS};
#endif
}

static uint64_t
whole_pages(uint64_t bytes)
{
    uint64_t page = pmt_prim_page_size_sigsafe();
    return (bytes + page - 1) / page * page;
}

// Not MADV_FREE: its pages stay until the kernel wants them.
static bool
gives_back(uint64_t advice)
{
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_REMOVE;
}

static void
effect_of_mremap(const pmt_call_seen_t *seen, pmt_call_effect_t *out)
{
    uint64_t from = seen->arguments[0], before = whole_pages(seen->arguments[1]), after = whole_pages(seen->arguments[2]);
    if ((uint64_t)seen->result != from) {  // `before` 0: a shared mapping is there twice now, and nothing has moved
        out->from = from;
        out->to = (uint64_t)seen->result;
        out->moved = before < after ? before : after;
    }
    if (after < before) {
        out->released = from + after;
        out->size = before - after;
    }
}

bool
pmt_prim_call_effect_sigsafe(enum pmt_call_e call, const pmt_call_seen_t *seen, pmt_call_effect_t *out)
{
    enum { ERRORS = 4095 };
    *out = (pmt_call_effect_t){0};
    if (seen->result < 0 && seen->result >= -ERRORS) {
        return false;
    }
    if (call == PMT_CALL_MREMAP) {
        effect_of_mremap(seen, out);
    } else if (call == PMT_CALL_BRK) {
        uint64_t end = whole_pages((uint64_t)seen->result);
        uint64_t before = whole_pages(atomic_exchange_explicit(&present_break, (uint64_t)seen->result, memory_order_relaxed));
        out->released = end;
        out->size = before > end ? before - end : 0;
    } else if (call == PMT_CALL_MUNMAP || gives_back(seen->arguments[2])) {
        out->released = seen->arguments[0];
        out->size = whole_pages(seen->arguments[1]);
    }
    return out->moved || out->size;
}
