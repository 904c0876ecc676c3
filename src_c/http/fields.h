/* http/fields.h: names of header fields and the flat list of a message's fields.
 *
 * A field is offsets from its head's base, so the bytes may be moved (a partial head copied into a larger block)
 * without touching the list. 16 bytes each. Value bytes are trimmed of OWS; case of the name is kept as received.
 * Thread: any; nothing here allocates. */
#ifndef FGW_HTTP_FIELDS_H
#define FGW_HTTP_FIELDS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum fgw_field_id {
    FGW_H_OTHER = 0,
#define FGW_F(id, name, flags) FGW_H_##id,
#include "http/fields.def"
#undef FGW_F
    FGW_H_COUNT
};
#define FGW_H_BIT(id) (1ull << (FGW_H_##id))
_Static_assert(FGW_H_COUNT <= 64, "ids are bits of one word");

struct fgw_field {
    uint32_t name, value;      /* offsets from base */
    uint32_t value_len;
    uint16_t name_len;
    uint8_t  id;               /* enum fgw_field_id */
    uint8_t  flags;            /* FGW_FIELD_* */
};
enum { FGW_FIELD_DROP = 1,     /* not forwarded: hop-by-hop or named by Connection */
       FGW_FIELD_NEVER = 2 };  /* came never-indexed (RFC 7541 section 6.2.3): no table of a later hop may hold it either */

/* The id of a name in any case; FGW_H_OTHER when not known. Cost: a switch on length and a compare. */
enum fgw_field_id fgw_field_id(const char *name, uint32_t n);
struct fgw_str    fgw_field_name(enum fgw_field_id id);   /* lower case */
uint64_t          fgw_field_hop_bits(void);               /* ids flagged H */

/* Walk a comma list (RFC 9110 section 5.6.1): *rest is advanced, empty members are skipped; false at the end.
 * Quoted strings are kept whole; an unterminated quote ends at the end of the value. */
bool fgw_list_next(struct fgw_str *rest, struct fgw_str *member);
bool fgw_list_has(struct fgw_str list, struct fgw_str token);   /* case-insensitive, parameters ignored */

#endif
