/* What of a request is believed, and what is told to the upstream about it: target, Host, client address, X-Forwarded-*, Forwarded, Via, id. */
#include "core/exchange.h"
#include "base/num.h"

static struct fgw_str join(struct fgw_arena *a, struct fgw_str x, struct fgw_str sep, struct fgw_str y)
{
    char *p = fgw_arena_alloc(a, (size_t)x.n + sep.n + y.n + 1);
    if (!p) return fgw_str(NULL, 0);
    if (x.n) memcpy(p, x.p, x.n);
    else sep.n = 0;
    if (sep.n) memcpy(p + x.n, sep.p, sep.n);
    if (y.n) memcpy(p + x.n + sep.n, y.p, y.n);
    return fgw_str(p, (size_t)x.n + sep.n + y.n);
}

static enum fgw_err find_host(const struct fgw_msg *m, struct fgw_str *host, bool *seen)
{
    *seen = false;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        if (m->fields[i].id != FGW_H_HOST) continue;
        if (*seen) return FGW_E_BAD_HOST;
        *seen = true;
        *host = fgw_head_value(&m->head, &m->fields[i]);
    }
    return FGW_E_NONE;
}

/* RFC 9112 section 3.2: exactly one Host from 1.1 on; an absolute target's authority wins over it. */
static enum fgw_err read_host(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    struct fgw_str host = FGW_STR(""), name;
    bool seen;
    uint16_t port;
    enum fgw_err e = find_host(x->msg, &host, &seen);
    if (e || (!seen && r->minor > 0)) return FGW_E_BAD_HOST;
    if (!fgw_authority_split(host, &name, &port, true)) return FGW_E_BAD_HOST;
    r->authority = r->target.form == FGW_FORM_ABSOLUTE ? r->target.authority : host;
    if (r->authority.p != host.p && !fgw_authority_split(r->authority, &name, &port, true)) return FGW_E_BAD_HOST;
    char *folded = fgw_arena_alloc(&r->arena, name.n + 1);
    if (!folded) return FGW_E_NO_MEMORY;
    r->host = fgw_str(folded, fgw_host_fold(name, folded));
    return FGW_E_NONE;
}

static enum fgw_err read_target(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    const struct fgw_l_settings *set = x->bound->set;
    struct fgw_target_policy pol = {set->slashes, set->merge_slashes};
    struct fgw_str raw = fgw_head_target(&x->msg->head);
    uint32_t size = raw.n * 3 + 2;
    char *out = fgw_arena_alloc(&r->arena, size);
    if (!out) return FGW_E_NO_MEMORY;
    enum fgw_err e = fgw_target_parse(raw, (enum fgw_method)x->msg->head.method, &pol, out, size, &r->target);
    r->path_out = r->target.path;
    return e;
}

static bool sane_id(struct fgw_str s)
{
    for (uint32_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\') return false;
    return s.n > 0 && s.n <= 128;
}

static struct fgw_str make_id(struct fgw_exchange *x)
{
    struct fgw_worker *w = x->w;
    uint64_t v[2] = {w->id_high, (w->id_high << 17 | w->id_high >> 47) + ++w->id_count * 0x9e3779b97f4a7c15ull};
    char *p = fgw_arena_alloc(&x->r.arena, 32);
    if (!p) return FGW_STR("");
    fgw_u64_hex16(p, v[0]), fgw_u64_hex16(p + 16, v[1]);
    return fgw_str(p, 32);
}

/* The last line of a field: that of the nearest proxy, if several added one. */
static struct fgw_str last_of(const struct fgw_exchange *x, enum fgw_field_id id)
{
    struct fgw_str v = FGW_STR("");
    if (!(x->msg->head.known & 1ull << id)) return v;
    for (uint16_t i = 0; i < x->msg->head.nfields; i++)
        if (x->msg->fields[i].id == id) v = fgw_head_value(&x->msg->head, &x->msg->fields[i]);
    return v;
}

/* A gateway that meets its own name thrice in Via is in a circle (RFC 9110 section 7.6.3). */
static bool loops(const struct fgw_exchange *x)
{
    if (!(x->msg->head.known & FGW_H_BIT(VIA))) return false;
    struct fgw_str name = fgw_l_text(x->snap->root_seg->p, x->snap->root->via);
    int seen = 0;
    for (uint16_t i = 0; i < x->msg->head.nfields; i++) {
        if (x->msg->fields[i].id != FGW_H_VIA) continue;
        struct fgw_str rest = fgw_head_value(&x->msg->head, &x->msg->fields[i]), m;
        while (fgw_list_next(&rest, &m)) {
            const char *sp = memchr(m.p, ' ', m.n);
            if (sp && fgw_str_eq(fgw_str_trim(fgw_str(sp + 1, (size_t)(m.p + m.n - sp - 1))), name)) seen++;
        }
    }
    return seen >= 3;
}

/* The several lines of one list field as one value (RFC 9110 section 5.3). */
static struct fgw_str gathered(struct fgw_exchange *x, enum fgw_field_id id)
{
    struct fgw_str all = FGW_STR("");
    if (!(x->msg->head.known & 1ull << id)) return all;
    for (uint16_t i = 0; i < x->msg->head.nfields; i++)
        if (x->msg->fields[i].id == id) {
            struct fgw_str v = fgw_head_value(&x->msg->head, &x->msg->fields[i]);
            all = all.n ? join(&x->r.arena, all, FGW_STR(", "), v) : v;
        }
    return all;
}

/* One entry's address: without brackets, and without the port that some proxies tell along ("1.2.3.4:5", "[2001:db8::1]:5"). */
static bool entry_address(struct fgw_str one, struct fgw_str *text, struct fgw_addr *a)
{
    struct fgw_str host;
    uint16_t port;
    *text = fgw_authority_split(one, &host, &port, false) ? host : one;      /* a bare IPv6 address is no authority */
    if (text->n > 2 && text->p[0] == '[' && text->p[text->n - 1] == ']') *text = fgw_str(text->p + 1, text->n - 2);
    return fgw_addr_parse(*text, a);
}

/* Who is behind trusted proxies: the rightmost address of all X-Forwarded-For lines that is not itself trusted. A proxy may add a
 * line of its own behind the client's, so that the first line alone is what the client likes to say. */
static struct fgw_str client_of(struct fgw_exchange *x)
{
    struct fgw_str list = gathered(x, FGW_H_X_FORWARDED_FOR), found = x->r.peer->address;
    while (list.n) {
        uint32_t i = list.n;
        while (i && list.p[i - 1] != ',') i--;
        struct fgw_str one = fgw_str_trim(fgw_str(list.p + i, list.n - i));
        struct fgw_addr a;
        if (!entry_address(one, &one, &a)) break;
        found = one;
        if (!fgw_snapshot_trusts(x->snap, a.hi, a.lo)) break;
        list.n = i ? i - 1 : 0;
    }
    return found;
}

enum fgw_err fgw_forward_early(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    r->msg = x->msg;
    r->h = x->front->h, r->minor = x->msg->head.minor;
    r->method = fgw_head_method(&x->msg->head);
    r->peer = x->front->peer;
    r->client = r->peer ? r->peer->trusted ? client_of(x) : r->peer->address : FGW_STR("");
    r->listener = x->bound->name;
    r->scheme = x->bound->set->scheme_https ? FGW_STR("https") : FGW_STR("http");
    enum fgw_err e = read_target(x);
    if (!e) e = read_host(x);
    if (e) return e;
    struct fgw_str id = last_of(x, FGW_H_X_REQUEST_ID);
    r->request_id = r->peer && r->peer->trusted && sane_id(id) ? id : make_id(x);
    return loops(x) ? FGW_E_LOOP : FGW_E_NONE;
}

/* ---- fields towards the upstream ---- */
static void own(struct fgw_exchange *x, enum fgw_field_id id, struct fgw_str name, struct fgw_str value)
{
    if (value.p) fgw_fields_add(&x->r.arena, &x->r.out, id, name, value);
}

static struct fgw_str quoted_for(struct fgw_exchange *x, struct fgw_str a)      /* RFC 7239 section 6: IPv6 in brackets and quotes */
{
    if (a.n == 0 || fgw_str_eq(a, FGW_STR("unix"))) return FGW_STR("unknown");
    if (!memchr(a.p, ':', a.n)) return a;
    return join(&x->r.arena, join(&x->r.arena, FGW_STR("\"["), FGW_STR(""), a), FGW_STR(""), FGW_STR("]\""));
}

static struct fgw_str forwarded(struct fgw_exchange *x, struct fgw_str client)
{
    struct fgw_req *r = &x->r;
    struct fgw_str f = quoted_for(x, client);
    size_t size = f.n + (size_t)r->authority.n + r->scheme.n + 32;
    char *p = fgw_arena_alloc(&r->arena, size), *q = p;
    if (!p) return fgw_str(NULL, 0);
    memcpy(q, "for=", 4), q += 4;
    memcpy(q, f.p, f.n), q += f.n;
    if (r->authority.n) {
        memcpy(q, ";host=\"", 7), q += 7;
        memcpy(q, r->authority.p, r->authority.n), q += r->authority.n;
        *q++ = '"';
    }
    memcpy(q, ";proto=", 7), q += 7;
    memcpy(q, r->scheme.p, r->scheme.n), q += r->scheme.n;
    return fgw_str(p, (size_t)(q - p));
}

static struct fgw_str via(struct fgw_exchange *x, struct fgw_str old, const struct fgw_req *r)
{
    struct fgw_str name = fgw_l_text(x->snap->root_seg->p, x->snap->root->via);
    struct fgw_str mine = join(&x->r.arena, r->h > 1 ? fgw_str(&"0123456789"[r->h % 10], 1) : r->minor ? FGW_STR("1.1") : FGW_STR("1.0"), FGW_STR(" "), name);
    return old.n ? join(&x->r.arena, old, FGW_STR(", "), mine) : mine;
}

static void forwarding(struct fgw_exchange *x, uint64_t known)
{
    struct fgw_req *r = &x->r;
    struct fgw_str client = r->peer ? r->peer->address : FGW_STR("");
    bool trusted = r->peer && r->peer->trusted;
    static const struct { uint8_t id; struct fgw_str name; } mine[] = {
        {FGW_H_X_FORWARDED_FOR, {"X-Forwarded-For", 15}}, {FGW_H_X_FORWARDED_PROTO, {"X-Forwarded-Proto", 17}},
        {FGW_H_X_FORWARDED_HOST, {"X-Forwarded-Host", 16}}};
    const uint64_t all = FGW_H_BIT(X_FORWARDED_FOR) | FGW_H_BIT(X_FORWARDED_PROTO) | FGW_H_BIT(X_FORWARDED_HOST) | FGW_H_BIT(X_FORWARDED_PORT) |
                         FGW_H_BIT(X_REAL_IP) | FGW_H_BIT(FORWARDED) | FGW_H_BIT(VIA) | FGW_H_BIT(X_REQUEST_ID);
    struct fgw_str old_for = FGW_STR(""), old_fwd = FGW_STR(""), proto = r->scheme, host = r->authority;
    if (trusted && known & all) {
        old_for = gathered(x, FGW_H_X_FORWARDED_FOR), old_fwd = gathered(x, FGW_H_FORWARDED);
        struct fgw_str p = last_of(x, FGW_H_X_FORWARDED_PROTO), h = last_of(x, FGW_H_X_FORWARDED_HOST);
        if (p.n) proto = p;
        if (h.n) host = h;
    }
    struct fgw_str old_via = known & FGW_H_BIT(VIA) ? gathered(x, FGW_H_VIA) : FGW_STR("");
    if (known & all)                                   /* ours replace what came; a trusted peer's word is inside them */
        for (uint32_t i = 0; i < r->out.n; i++) {
            uint64_t bit = 1ull << r->out.v[i].id;
            if (bit & all && !(trusted && bit & (FGW_H_BIT(X_REAL_IP) | FGW_H_BIT(X_FORWARDED_PORT)))) r->out.v[i].flags |= FGW_FIELD_DROP;
        }
    own(x, FGW_H_X_FORWARDED_FOR, mine[0].name, old_for.n ? join(&r->arena, old_for, FGW_STR(", "), client) : client);
    own(x, FGW_H_X_FORWARDED_PROTO, mine[1].name, proto);
    if (host.n) own(x, FGW_H_X_FORWARDED_HOST, mine[2].name, host);
    struct fgw_str f = forwarded(x, client);
    own(x, FGW_H_FORWARDED, FGW_STR("Forwarded"), old_fwd.n ? join(&r->arena, old_fwd, FGW_STR(", "), f) : f);
    own(x, FGW_H_VIA, FGW_STR("Via"), via(x, old_via, r));
    own(x, FGW_H_X_REQUEST_ID, FGW_STR("X-Request-Id"), r->request_id);
}

bool fgw_forward_build(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    if (!fgw_fields_reserve(&r->arena, &r->out, x->msg->head.nfields + 8u)) return false;
    r->out.n = fgw_msg_fields(x->msg, r->out.v);
    if (!x->caller) forwarding(x, x->msg->head.known);
    uint16_t strip = r->route ? r->route->strip : 0;
    if (strip && strip <= r->target.path.n) {
        struct fgw_str rest = fgw_str(r->target.path.p + strip, r->target.path.n - strip);
        r->path_out = rest.n && rest.p[0] == '/' ? rest : join(&r->arena, FGW_STR("/"), FGW_STR(""), rest);
    }
    return r->path_out.p != NULL;
}
