#include "policy/req.h"
#include "io/listen.h"
#include "io/tls_cert.h"

bool fgw_fields_reserve(struct fgw_arena *a, struct fgw_fields *f, uint32_t n)
{
    if (n <= f->cap) return true;
    uint32_t cap = f->cap * 2 > n ? f->cap * 2 : n;
    struct fgw_out_field *v = fgw_arena_alloc(a, cap * sizeof *v);
    if (!v) return false;
    if (f->n) memcpy(v, f->v, f->n * sizeof *v);
    f->v = v, f->cap = cap;
    return true;
}

bool fgw_fields_add(struct fgw_arena *a, struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name, struct fgw_str value)
{
    if (f->n == f->cap && !fgw_fields_reserve(a, f, f->n + 8)) return false;
    f->v[f->n++] = (struct fgw_out_field){name.p, value.p, value.n, (uint16_t)name.n, (uint8_t)id, 0};
    return true;
}

static bool same(const struct fgw_out_field *f, enum fgw_field_id id, struct fgw_str name)
{
    if (f->flags & FGW_FIELD_DROP || f->id != id) return false;
    return id != FGW_H_OTHER || fgw_str_ieq(fgw_str(f->name, f->name_len), name);
}

void fgw_fields_drop(struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (same(&f->v[i], id, name)) f->v[i].flags |= FGW_FIELD_DROP;
}

struct fgw_out_field *fgw_fields_find(struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (same(&f->v[i], id, name)) return &f->v[i];
    return NULL;
}

/* What the client's verified certificate says; of several names the first. Empty where it showed none. */
static struct fgw_str cert_text(const struct fgw_identity *i, enum fgw_part what)
{
    if (!i) return FGW_STR("");
    switch (what) {
    case FGW_PART_CERT_SUBJECT:     return i->subject;
    case FGW_PART_CERT_CN:          return i->cn;
    case FGW_PART_CERT_FINGERPRINT: return i->fingerprint;
    case FGW_PART_CERT_URI:         return i->nuris ? i->uris[0] : FGW_STR("");
    default:                        return i->ndns ? i->dns[0] : FGW_STR("");
    }
}

/* A path parameter is still percent-encoded where the normal form keeps it: it is printable ASCII, safe in a field value. */
static struct fgw_str part_text(const struct fgw_req *r, const struct fgw_l_part *p)
{
    switch ((enum fgw_part)p->kind) {
    case FGW_PART_TEXT:           return fgw_l_text(r->seg, p->text);
    case FGW_PART_PARAM:          return p->param < FGW_PARAMS_MAX ? r->params[p->param] : FGW_STR("");
    case FGW_PART_CLIENT_ADDRESS: return r->client;
    case FGW_PART_HOST:           return r->host;
    case FGW_PART_REQUEST_ID:     return r->request_id;
    case FGW_PART_METHOD:         return r->method;
    case FGW_PART_PATH:           return r->target.path;
    case FGW_PART_QUERY:          return r->target.query;
    case FGW_PART_SCHEME:         return r->scheme;
    case FGW_PART_LISTENER:       return r->listener;
    case FGW_PART_ROUTE:          return r->route ? fgw_l_text(r->seg, r->route->name) : FGW_STR("");
    case FGW_PART_CERT_SUBJECT: case FGW_PART_CERT_CN: case FGW_PART_CERT_FINGERPRINT: case FGW_PART_CERT_URI: case FGW_PART_CERT_DNS:
        return cert_text(r->peer ? r->peer->identity : NULL, (enum fgw_part)p->kind);
    case FGW_PARTS: break;
    }
    return FGW_STR("");
}

struct fgw_str fgw_template(struct fgw_req *r, const struct fgw_l_part *parts, uint32_t n)
{
    uint32_t size = 0;
    if (n == 1 && parts[0].kind == FGW_PART_TEXT) return part_text(r, parts);
    for (uint32_t i = 0; i < n; i++) size += part_text(r, &parts[i]).n;
    char *p = fgw_arena_alloc(&r->arena, size + 1), *q = p;
    if (!p) return fgw_str(NULL, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct fgw_str t = part_text(r, &parts[i]);
        if (t.n) memcpy(q, t.p, t.n);
        q += t.n;
    }
    return fgw_str(p, size);
}

bool fgw_req_client(const struct fgw_req *r, uint64_t ip[2])
{
    struct fgw_addr a;
    if (r->peer && r->client.p == r->peer->address.p) ip[0] = r->peer->ip_hi, ip[1] = r->peer->ip_lo;
    else if (fgw_addr_parse(r->client, &a)) ip[0] = a.hi, ip[1] = a.lo;
    else return false;
    bool v4 = ip[0] == 0 && ip[1] >> 32 == 0xffff;
    if (!v4) ip[1] = 0;
    return ip[0] || ip[1];
}
