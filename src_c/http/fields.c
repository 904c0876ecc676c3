#include "http/fields.h"
#include "base/check.h"
#include "http/field_id.h"

static const struct fgw_str NAMES[FGW_H_COUNT] = {
#define FGW_F(id, name, flags) [FGW_H_##id] = {name, sizeof(name) - 1},
#include "http/fields.def"
#undef FGW_F
};

struct fgw_str fgw_field_name(enum fgw_field_id id) { return (unsigned)id < FGW_H_COUNT ? NAMES[id] : NAMES[FGW_H_OTHER]; }

uint64_t fgw_field_hop_bits(void)
{
    enum { H = 1, S = 2, HS = H | S };
    return 0
#define FGW_F(id, name, flags) | ((flags) & H ? FGW_H_BIT(id) : 0)
#include "http/fields.def"
#undef FGW_F
    ;
}

enum fgw_field_id fgw_field_id(const char *name, uint32_t n) { return fgw_field_id_inline(name, n); }

/* ---- comma lists ---- */

/* Where the member that begins at s.p ends: a comma outside a quoted string, or the end of s. */
static uint32_t member_end(struct fgw_str s)
{
    bool quoted = false;
    for (uint32_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\') i++;
        else if (s.p[i] == '"') quoted = !quoted;
        else if (s.p[i] == ',' && !quoted) return i;
    }
    return s.n;
}

bool fgw_list_next(struct fgw_str *rest, struct fgw_str *member)
{
    while (rest->n > 0) {
        uint32_t end = member_end(*rest), used = end < rest->n ? end + 1 : end;
        *member = fgw_str_trim(fgw_str(rest->p, end));
        *rest = fgw_str(rest->p + used, rest->n - used);
        if (member->n > 0) return true;
    }
    return false;
}

bool fgw_list_has(struct fgw_str list, struct fgw_str token)
{
    struct fgw_str m;
    while (fgw_list_next(&list, &m)) {
        const char *semi = memchr(m.p, ';', m.n);
        if (semi) m = fgw_str_trim(fgw_str(m.p, (size_t)(semi - m.p)));
        if (fgw_str_ieq(m, token)) return true;
    }
    return false;
}
