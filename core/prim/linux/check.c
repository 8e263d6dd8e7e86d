// The printer of failed asserts (check.h).
#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
put(const char *text)
{
    ssize_t ignored = write(2, text, strlen(text));
    (void)ignored;
}

void
pmt_check_failed(const char *expression, const char *file, int line)
{
    char digits[12];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > 0);
    put("pymemtrace: check failed: ");
    put(expression);
    put(" at ");
    put(file);
    put(":");
    put(digits + at);
    put("\n");
    abort();
}
