#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>

void fgw_check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    abort();
}
