// Asserts at three levels, chosen by PMT_CHECK: 0 none (release), 1 PMT_ASSERT, 2 + PMT_INVARIANT, 3 + PMT_EXPENSIVE. Tests run at 3.
// The failure printer uses write(2) and abort() only: it may run in a signal handler.
#pragma once

#ifndef PMT_CHECK
#define PMT_CHECK 0
#endif

// In core/prim: it writes.
void pmt_check_failed(const char *expression, const char *file, int line) __attribute__((noreturn, cold));

#define PMT_CHECK_(x) ((x) ? (void)0 : pmt_check_failed(#x, __FILE__, __LINE__))
#define PMT_NOCHECK_(x) ((void)sizeof(x))

#if PMT_CHECK >= 1
#define PMT_ASSERT(x) PMT_CHECK_(x)
#else
#define PMT_ASSERT(x) PMT_NOCHECK_(x)
#endif
#if PMT_CHECK >= 2
#define PMT_INVARIANT(x) PMT_CHECK_(x)
#else
#define PMT_INVARIANT(x) PMT_NOCHECK_(x)
#endif
#if PMT_CHECK >= 3
#define PMT_EXPENSIVE(x) PMT_CHECK_(x)
#else
#define PMT_EXPENSIVE(x) PMT_NOCHECK_(x)
#endif
