/* A segment that passes fgw_seg_check can be routed over without leaving it, whatever the request. Input:
 *   u32 n (little endian) · n bytes of a ROUTES segment · what remains: requests, one a line:
 *   METHOD HOST PATH QUERY NAME:VALUE ...
 * Its regexes, whatever they became, are compiled and matched; a segment with one that does not compile is walked without them.
 * The header of the segment is made good first. One mutation in three leaves the segment as it is and changes the requests, so
 * that good segments are asked much; the others change it word by word in place: inserted bytes would shift all that offsets
 * point to, and no such segment passes the check. */
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/hash.h"
#include "policy/layout.h"
#include "policy/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { FIELDS = 8 };

static struct fgw_str word(const char **p, const char *end)
{
    const char *from = *p;
    while (*p < end && **p != ' ' && **p != '\n') ++*p;
    struct fgw_str s = fgw_str(from, (size_t)(*p - from));
    if (*p < end && **p == ' ') ++*p;
    return s;
}

static void inside(const void *outer, size_t n, const void *inner, size_t m)
{
    if (m && ((const char *)inner < (const char *)outer || (const char *)inner + m > (const char *)outer + n)) abort();
}

static volatile char sink;

static void touch(struct fgw_str s)                         /* ASan looks on */
{
    for (uint32_t i = 0; i < s.n; i++) sink = s.p[i];
}

/* Parameters stand in the path in their order and take whole segments; only the last may be empty or hold a slash. Those of a regex are
 * anywhere in it. */
static void params(struct fgw_str path, const struct fgw_route_out *out, bool by_regex)
{
    for (uint32_t i = 0; by_regex && i < out->route->nparams; i++) inside(path.p, path.n, out->params[i].p, out->params[i].n);
    if (by_regex) return;
    const char *from = path.p + 1;
    for (uint32_t i = 0, n = out->route->nparams; i < n; i++) {
        struct fgw_str s = out->params[i];
        inside(path.p, path.n, s.p, s.n);
        if (s.p < from || s.p[-1] != '/') abort();
        from = s.p + s.n;
        if (from < path.p + path.n && *from != '/') abort();
        if (i + 1 < n && (!s.n || memchr(s.p, '/', s.n))) abort();
    }
}

static bool has_regex(const char *seg, const struct fgw_l_route *route)
{
    const struct fgw_l_routes *r = fgw_l_body(seg);
    const struct fgw_l_regex *x = fgw_l_at(seg, r->regexes.off);
    for (uint32_t i = 0; i < r->regexes.count; i++)
        if (fgw_l_at(seg, x[i].route) == (const void *)route) return true;
    return false;
}

static void route(const char *seg, size_t seg_n, const struct fgw_route_in *in)
{
    struct fgw_route_out out;
    memset(&out, 0xa5, sizeof out);                         /* a parameter that nobody set is not a view */
    if (!fgw_route_find(seg, in, &out)) {
        if (out.route || (out.allow & 1u << FGW_M_OTHER)) abort();
        return;
    }
    inside(seg, seg_n, out.route, sizeof *out.route);
    touch(fgw_l_text(seg, out.route->name)), touch(fgw_l_text(seg, out.route->pattern));
    if (out.route->nparams > FGW_PARAMS_MAX || out.allow) abort();
    params(in->path, &out, has_regex(seg, out.route));
    struct fgw_str rest = fgw_route_rest(out.route, in->path);
    inside(in->path.p, in->path.n, rest.p, rest.n);
}

/* A block of its own, so that ASan sees the first byte read past it. */
static char *own(struct fgw_str *s)
{
    char *p = malloc(s->n);
    if (s->n) memcpy(p, s->p, s->n);
    return (char *)(s->p = p);
}

/* What is left of a line as fields: every word with a colon. */
static void read_fields(struct fgw_head *h, const char **p, const char *end)
{
    while (*p < end && **p != '\n') {
        struct fgw_str s = word(p, end);
        const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
        if (!colon || h->nfields == FIELDS) continue;
        uint32_t name = (uint32_t)(colon - s.p);
        uint8_t id = (uint8_t)fgw_field_id(s.p, name);
        h->known |= 1ull << id;
        h->fields[h->nfields++] = (struct fgw_field){.name = (uint32_t)(s.p - h->base), .name_len = (uint16_t)name, .id = id,
            .value = (uint32_t)(colon + 1 - h->base), .value_len = s.n - name - 1};
    }
}

static void ask(const char *seg, size_t seg_n, struct fgw_regexes *regexes, const char **p, const char *end)
{
    struct fgw_field fields[FIELDS];
    struct fgw_head h = {.base = *p, .fields = fields};
    struct fgw_route_in in = {.method = word(p, end), .head = &h, .regexes = regexes};
    in.method_id = (uint8_t)fgw_method_id(in.method);
    in.host = word(p, end), in.path = word(p, end), in.query = word(p, end);
    read_fields(&h, p, end);
    if (*p < end) ++*p;
    char *blocks[3] = {own(&in.host), own(&in.path), own(&in.query)};
    if (!in.path.n || in.path.p[0] == '/' || fgw_str_eq(in.path, FGW_STR("*"))) route(seg, seg_n, &in);
    for (int i = 0; i < 3; i++) free(blocks[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t n;
    if (size < 4 + sizeof(struct fgw_l_seg)) return 0;
    memcpy(&n, data, 4);
    if (n > size - 4 || n < sizeof(struct fgw_l_seg)) n = (uint32_t)(size - 4);
    char *seg = malloc(n), *requests = malloc(size - 4 - n + 1);
    if (!seg || !requests) abort();
    memcpy(seg, data + 4, n);
    memcpy(requests, data + 4 + n, size - 4 - n);
    struct fgw_l_seg *h = (struct fgw_l_seg *)seg;
    *h = (struct fgw_l_seg){FGW_SEG_MAGIC, FGW_LAYOUT_VERSION, h->kind, n, fgw_hash_xxh3(h + 1, n - sizeof *h)};
    if (!fgw_seg_check(seg, n) && h->kind == FGW_SEG_ROUTES) {
        const char *p = requests, *end = requests + (size - 4 - n);
        char err[200];
        struct fgw_regexes *regexes = fgw_regexes_new(seg);
        if (fgw_regexes_compile(regexes, UINT32_MAX, err, sizeof err) < 0) fgw_regexes_free(regexes), regexes = NULL;
        for (uint32_t times = 0; p < end && times < 64; times++) ask(seg, n, regexes, &p, end);
        fgw_regexes_free(regexes);
    }
    free(seg);
    free(requests);
    return 0;
}

static uint32_t next_random(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u, *seed >> 8; }

/* One word: a near number, another word of the segment (best one of a record beside it: an offset of the same kind), a single
 * bit, or anything. */
static void change_word(uint8_t *seg, uint32_t words, uint32_t *seed)
{
    uint32_t at = next_random(seed) % words, far = next_random(seed) % words, value, taken;
    uint32_t near = at + 2 * (next_random(seed) % 65) - 64, other = next_random(seed) % 2 && near < words ? near : far;
    memcpy(&value, seg + 4 * at, 4), memcpy(&taken, seg + 4 * other, 4);
    switch (next_random(seed) % 8) {
    case 0: case 1: value += next_random(seed) % 65 - 32; break;
    case 2: value ^= 1u << next_random(seed) % 32; break;
    case 3: value = next_random(seed) << 16 ^ next_random(seed); break;
    case 4: value = next_random(seed) % 4; break;
    default: value = taken;
    }
    memcpy(seg + 4 * at, &value, 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint32_t n = 0, head = 4 + sizeof(struct fgw_l_seg);
    if (size >= head) memcpy(&n, data, 4);
    if (n < head || n > size - 4) return LLVMFuzzerMutate(data, size, max_size);
    if (next_random(&seed) % 3 == 0) return 4 + n + LLVMFuzzerMutate(data + 4 + n, size - 4 - n, max_size - 4 - n);
    for (uint32_t times = 1 + next_random(&seed) % 3; times; times--) change_word(data + head, (n + 4 - head) / 4, &seed);
    return size;
}
