/* base/str.h: a view of bytes somebody else keeps alive. Never owns, may hold any byte, no terminator. */
#ifndef FGW_BASE_STR_H
#define FGW_BASE_STR_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct fgw_str { const char *p; uint32_t n; };

#define FGW_STR(lit) ((struct fgw_str){(lit), (uint32_t)(sizeof(lit) - 1)})

static inline struct fgw_str fgw_str(const char *p, size_t n) { return (struct fgw_str){p, (uint32_t)n}; }
static inline bool fgw_str_eq(struct fgw_str a, struct fgw_str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
/* ASCII case-insensitive; bytes above 0x7f compare as they are. */
bool fgw_str_ieq(struct fgw_str a, struct fgw_str b);
/* Without leading and trailing SP / HTAB (RFC 9110 section 5.6.3, OWS). */
struct fgw_str fgw_str_trim(struct fgw_str s);

#endif
