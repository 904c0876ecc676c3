/* tests/c/base/refuse.h: malloc that can be told to fail. Included before the .c under test. */
#ifndef FGW_TESTS_REFUSE_H
#define FGW_TESTS_REFUSE_H
#include <stdbool.h>
#include <stdlib.h>

static bool malloc_refuses;
static unsigned long malloc_calls;
static inline void *malloc_or_refuse(size_t n)
{
    malloc_calls++;
    return malloc_refuses ? NULL : malloc(n);
}
#define malloc malloc_or_refuse
#endif
