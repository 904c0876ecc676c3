#include "policy/match.h"
#include "base/check.h"
#include "http/target.h"

static bool name_is(const struct fgw_head *h, const struct fgw_field *f, uint8_t id, struct fgw_str name)
{
    return f->id == id && (id != FGW_H_OTHER || fgw_str_ieq(fgw_head_name(h, f), name));
}

static bool header_holds(const void *seg, const struct fgw_l_cond *c, const struct fgw_head *h)
{
    if (!h || (c->id != FGW_H_OTHER && !(h->known & (1ull << c->id)))) return false;
    struct fgw_str name = fgw_l_text(seg, c->name), value = fgw_l_text(seg, c->value);
    for (uint32_t i = 0; i < h->nfields; i++) {
        const struct fgw_field *f = &h->fields[i];
        if (f->value_len == value.n && name_is(h, f, c->id, name) && fgw_str_eq(fgw_head_value(h, f), value)) return true;
    }
    return false;
}

static bool query_holds(const void *seg, const struct fgw_l_cond *c, struct fgw_str query)
{
    char room[FGW_COND_VALUE_MAX];
    struct fgw_str got;
    return fgw_query_get(query, fgw_l_text(seg, c->name), room, sizeof room, &got) && fgw_str_eq(got, fgw_l_text(seg, c->value));
}

bool fgw_match_method(const void *seg, const struct fgw_l_cand *c, const struct fgw_route_in *in)
{
    if (!(c->methods & (1u << in->method_id))) return false;
    if (fgw_likely(in->method_id != FGW_M_OTHER) || !c->others.count) return true;
    const struct fgw_l_str *names = fgw_l_at(seg, c->others.off);
    for (uint32_t i = 0; i < c->others.count; i++)
        if (fgw_str_eq(fgw_l_text(seg, names[i]), in->method)) return true;
    return false;
}

bool fgw_match_conds(const void *seg, const struct fgw_l_cand *c, const struct fgw_route_in *in)
{
    const struct fgw_l_cond *headers = fgw_l_at(seg, c->headers.off), *query = fgw_l_at(seg, c->query.off);
    for (uint32_t i = 0; i < c->headers.count; i++)
        if (!header_holds(seg, &headers[i], in->head)) return false;
    for (uint32_t i = 0; i < c->query.count; i++)
        if (!query_holds(seg, &query[i], in->query)) return false;
    return true;
}
