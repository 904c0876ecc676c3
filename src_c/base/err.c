#include "base/err.h"
#include "base/check.h"

struct row { uint16_t status; const char *word, *text; };

static const struct row ROWS[FGW_ERR_COUNT] = {
#define FGW_E(name, status, word, text) [FGW_E_##name] = {status, word, text},
#include "base/err.def"
#undef FGW_E
};
_Static_assert(FGW_ERR_COUNT <= 256, "struct fgw_fail keeps the code in a byte");

static const struct row *row(enum fgw_err code)
{
    FGW_CHECK((unsigned)code < FGW_ERR_COUNT);
    return &ROWS[fgw_likely((unsigned)code < FGW_ERR_COUNT) ? code : FGW_E_INTERNAL];
}

int fgw_err_status(enum fgw_err code) { return row(code)->status; }
const char *fgw_err_word(enum fgw_err code) { return row(code)->word; }
const char *fgw_err_text(enum fgw_err code) { return row(code)->text; }

const char *fgw_by_name(enum fgw_by by)
{
    switch (by) {
    case FGW_BY_NOBODY:   return "nobody";
    case FGW_BY_CLIENT:   return "client";
    case FGW_BY_GATEWAY:  return "gateway";
    case FGW_BY_UPSTREAM: return "upstream";
    }
    FGW_UNREACHABLE();
}
