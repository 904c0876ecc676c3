/* base/num.h: numbers as text, both ways, without locale, errno or terminator.
 *
 * Memory   callers bring the room; nothing is NUL-terminated.
 * Thread   any. Cost: one pass over the digits; two digits a step when writing decimals. */
#ifndef FGW_BASE_NUM_H
#define FGW_BASE_NUM_H
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum { FGW_DEC_MAX = 20, FGW_HEX_MAX = 16 };       /* most digits a uint64_t has */

int fgw_u64_dec(char out[FGW_DEC_MAX], uint64_t v);    /* "0" to "18446744073709551615"; returns how many digits */
int fgw_u64_hex(char out[FGW_HEX_MAX], uint64_t v);    /* "0" to "ffffffffffffffff", lower case; returns how many */
void fgw_u64_hex16(char out[FGW_HEX_MAX], uint64_t v); /* the same with leading zeros: all 16; some 40 instructions */

/* 1*20DIGIT (Content-Length, RFC 9110 section 8.6: no sign, space or list) with a value that fits.
 * Leading zeros count as digits. false: *v is untouched. */
bool fgw_dec_u64(struct fgw_str s, uint64_t *v);

#endif
