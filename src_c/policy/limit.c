#include "policy/limit.h"
#include "base/hash.h"
#include "base/num.h"
#include "policy/bucket.h"

static const uint64_t ABSENT = 0x6162736e74ull;

struct fgw_str fgw_limit_field(const struct fgw_req *r, enum fgw_field_id id, struct fgw_str name)
{
    struct fgw_str found = FGW_STR("");
    int n = 0;
    for (uint32_t i = 0; i < r->out.n; i++) {
        const struct fgw_out_field *f = &r->out.v[i];
        if (f->flags & FGW_FIELD_DROP || f->id != id || (id == FGW_H_OTHER && !fgw_str_ieq(fgw_str(f->name, f->name_len), name))) continue;
        found = fgw_str(f->value, f->value_len);
        n++;
    }
    return n == 1 ? found : FGW_STR("");
}

/* One cookie of that name over all Cookie fields (RFC 6265 section 5.4); quotes are part of a value. */
static struct fgw_str cookie(const struct fgw_req *r, struct fgw_str name)
{
    struct fgw_str found = FGW_STR("");
    int n = 0;
    for (uint32_t i = 0; i < r->out.n; i++) {
        const struct fgw_out_field *f = &r->out.v[i];
        if (f->flags & FGW_FIELD_DROP || f->id != FGW_H_COOKIE) continue;
        for (uint32_t at = 0, end; at < f->value_len; at = end + 1) {
            const char *p = f->value + at, *semi = memchr(p, ';', f->value_len - at);
            end = semi ? (uint32_t)(semi - f->value) : f->value_len;
            struct fgw_str pair = fgw_str_trim(fgw_str(p, end - at));
            const char *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
            if (!eq || !fgw_str_eq(fgw_str_trim(fgw_str(pair.p, (size_t)(eq - pair.p))), name)) continue;
            found = fgw_str_trim(fgw_str(eq + 1, (size_t)(pair.p + pair.n - eq - 1)));
            n++;
        }
    }
    return n == 1 ? found : FGW_STR("");
}

static struct fgw_str parameter(const struct fgw_req *r, struct fgw_str name, char room[FGW_LIMIT_VALUE_MAX])
{
    struct fgw_str q = r->target.query, found = FGW_STR(""), got;
    char other[FGW_LIMIT_VALUE_MAX];
    int n = 0;
    for (uint32_t at = 0, end; at < q.n; at = end + 1) {
        const char *amp = memchr(q.p + at, '&', q.n - at);
        end = amp ? (uint32_t)(amp - q.p) : q.n;
        if (fgw_query_get(fgw_str(q.p + at, end - at), name, n ? other : room, FGW_LIMIT_VALUE_MAX, &got) && !n++) found = got;
    }
    return n == 1 ? found : FGW_STR("");
}

static uint64_t part(struct fgw_req *r, const struct fgw_l_limit_key *k)
{
    const struct fgw_hash_key *key = &r->limits->shm->key;
    char room[FGW_LIMIT_VALUE_MAX];
    uint64_t ip[2];
    struct fgw_str name = fgw_l_text(r->seg, k->name), v = FGW_STR("");
    switch ((enum fgw_limit_by)k->kind) {
    case FGW_LIMIT_CLIENT: if (fgw_req_client(r, ip)) v = fgw_str((const char *)ip, sizeof ip); break;
    case FGW_LIMIT_HEADER: v = fgw_limit_field(r, (enum fgw_field_id)k->id, name); break;
    case FGW_LIMIT_QUERY:  v = parameter(r, name, room); break;
    case FGW_LIMIT_COOKIE: v = cookie(r, name); break;
    case FGW_LIMIT_PATH:   v = r->params[k->param]; break;
    case FGW_LIMIT_ROUTE:  v = fgw_l_text(r->seg, r->route->name); break;
    }
    return v.n ? fgw_hash_sip13(key, v.p, v.n) : ABSENT;
}

uint64_t fgw_limit_tag(struct fgw_req *r, struct fgw_l_arr keys, struct fgw_str salt)
{
    const struct fgw_hash_key *key = &r->limits->shm->key;
    const struct fgw_l_limit_key *k = fgw_l_at(r->seg, keys.off);
    uint64_t h[FGW_LIMIT_KEYS_MAX + 1], tag;
    uint32_t n = 0;
    for (; n < keys.count; n++) h[n] = part(r, &k[n]);
    if (n != 1 || salt.n) {
        h[n++] = salt.n ? fgw_hash_sip13(key, salt.p, salt.n) : 0;
        tag = fgw_hash_sip13(key, h, n * sizeof *h);
    } else tag = h[0];
    return tag ? tag : 1;
}

/* ---- what is told ---- */
bool fgw_limit_tell(struct fgw_req *r, struct fgw_str name, struct fgw_str policy, uint64_t left, uint64_t seconds)
{
    char *p = fgw_arena_alloc(&r->arena, name.n + 2 * FGW_DEC_MAX + 10u), *q = p;
    if (!p) return false;
    *q++ = '"';
    memcpy(q, name.p, name.n), q += name.n;
    memcpy(q, "\";r=", 4), q += 4;
    q += fgw_u64_dec(q, left);
    if (seconds) {
        memcpy(q, ";t=", 3), q += 3;
        q += fgw_u64_dec(q, seconds);
    }
    return fgw_fields_add(&r->arena, &r->reply, FGW_H_OTHER, FGW_STR("RateLimit-Policy"), policy) &&
           fgw_fields_add(&r->arena, &r->reply, FGW_H_OTHER, FGW_STR("RateLimit"), fgw_str(p, (size_t)(q - p)));
}

enum fgw_verdict fgw_limit_refuse(struct fgw_req *r, struct fgw_str name, enum fgw_err why, uint64_t seconds)
{
    char *p = fgw_arena_alloc(&r->arena, FGW_DEC_MAX);
    if (p) fgw_fields_add(&r->arena, &r->reply, FGW_H_RETRY_AFTER, FGW_STR("Retry-After"), fgw_str(p, (size_t)fgw_u64_dec(p, seconds)));
    r->limit = name;
    r->fail = fgw_fail(why, FGW_BY_CLIENT);
    return FGW_FAIL;
}

bool fgw_limit_fits(const struct fgw_shm *m, const void *seg, const struct fgw_l_step *s)
{
    if (s->kind != FGW_STEP_RATE_LIMIT) return true;
    const struct fgw_l_rate_limit *l = fgw_l_at(seg, s->args);
    uint64_t size = (uint64_t)l->sets * sizeof(struct fgw_bucket_set);
    return l->table >= m->heap_off && l->table <= m->size && size <= m->size - l->table;
}
