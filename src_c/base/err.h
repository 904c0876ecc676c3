/* base/err.h: failure is a value, set once, where it happens.
 *
 * {code, side, retry_safe}: status, log word, metric and the retry decision are looked up from it,
 * never decided a second time. A zeroed value means "no failure".
 * Thread: any. Cost: table look-ups. */
#ifndef FGW_BASE_ERR_H
#define FGW_BASE_ERR_H
#include <stdbool.h>
#include <stdint.h>

enum fgw_err {
#define FGW_E(name, status, word, text) FGW_E_##name,
#include "base/err.def"
#undef FGW_E
    FGW_ERR_COUNT
};

enum fgw_by { FGW_BY_NOBODY, FGW_BY_CLIENT, FGW_BY_GATEWAY, FGW_BY_UPSTREAM };

struct fgw_fail {
    uint8_t code;        /* enum fgw_err */
    uint8_t by;          /* enum fgw_by: who is to blame */
    bool    retry_safe;  /* the peer cannot have processed anything */
    bool    heard;       /* something of an answer had come: the request is certainly being processed */
};

static inline struct fgw_fail fgw_fail(enum fgw_err code, enum fgw_by by)
{
    return (struct fgw_fail){(uint8_t)code, (uint8_t)by, false, false};
}

int         fgw_err_status(enum fgw_err code);  /* 0: only close */
const char *fgw_err_word(enum fgw_err code);
const char *fgw_err_text(enum fgw_err code);
const char *fgw_by_name(enum fgw_by by);

#endif
