/* tests/hostile/door.c: the engine's HTTP/1 parser behind a pipe, for comparison with other people's.
 *
 * In: frames of a kind ('Q' request, 'R' reply, 'H' reply to HEAD), a length (u32, host order), the bytes of one connection up to its end.
 * Out: one line of JSON each about the first message (of a reply the first that is not 1xx), texts in hex:
 *   {"verdict": "accept" | "partial" | "reject", "word": failure, "used": n, "first", "second", "minor", "fields", "body", "trailers"}
 * The input is cut in two at a place that its own bytes choose, and lies before an unmapped page. */
#include "http/body.h"
#include "test.h"

enum { ROOM_FIELDS = 128 };
static const struct fgw_head_limits LIMITS = {16384, 16384, 65536, 100};
static const struct fgw_body_limits BODY = {256, 16384, 8192, 32};

struct message {
    struct fgw_head head, trailers;
    struct fgw_field fields[ROOM_FIELDS], more[ROOM_FIELDS];
    const char *verdict;
    enum fgw_err err;
    uint32_t used, nbody;
    char *body;
};

static void hex(const char *p, size_t n)
{
    putchar('"');
    for (size_t i = 0; i < n; i++) printf("%02x", (uint8_t)p[i]);
    putchar('"');
}

static void field_list(const struct fgw_head *h)
{
    putchar('[');
    for (uint32_t i = 0; i < h->nfields; i++) {
        struct fgw_str name = fgw_head_name(h, &h->fields[i]), value = fgw_head_value(h, &h->fields[i]);
        printf(i ? ",[" : "["), hex(name.p, name.n), putchar(','), hex(value.p, value.n), putchar(']');
    }
    putchar(']');
}

static int head_parse(struct fgw_head *h, char kind, const char *p, uint32_t n)
{
    return kind == 'Q' ? fgw_head_parse_request(h, p, n, &LIMITS) : fgw_head_parse_reply(h, p, n, &LIMITS);
}

static void end(struct message *m, const char *verdict, enum fgw_err e, uint32_t used)
{
    m->verdict = verdict, m->err = e, m->used = used;
}

static void trailers(struct message *m, const char *p, uint32_t n, uint32_t at)
{
    struct fgw_head_limits lim = {LIMITS.line_max, LIMITS.field_max, BODY.trailer_max, BODY.trailer_fields};
    int r = fgw_head_parse_trailers(&m->trailers, p + at, n - at, &lim);
    if (r == 0) end(m, "partial", FGW_E_NONE, n);
    else if (r < 0) end(m, "reject", (enum fgw_err)m->trailers.err, at);
    else end(m, "accept", FGW_E_NONE, at + (uint32_t)r);
}

static void body(struct message *m, enum fgw_framing f, uint64_t length, const char *p, uint32_t n, uint32_t at)
{
    struct fgw_body b;
    fgw_body_start(&b, f, length);
    for (;;) {
        uint32_t pos = at, off = 0, len = 0;
        enum fgw_body_event ev = f == FGW_BODY_NONE || (f == FGW_BODY_LENGTH && b.left == 0) ? FGW_BODY_END
                                                                                          : fgw_body_next(&b, &BODY, p, n, &pos, &off, &len);
        at = pos;
        if (ev == FGW_BODY_DATA) memcpy(m->body + m->nbody, p + off, len), m->nbody += len;
        else if (ev == FGW_BODY_TRAILERS) return trailers(m, p, n, at);
        else if (ev == FGW_BODY_BAD) return end(m, "reject", (enum fgw_err)b.err, at);
        else if (ev == FGW_BODY_END || fgw_body_eof(&b)) return end(m, "accept", FGW_E_NONE, at);
        else return end(m, "partial", FGW_E_NONE, n);
    }
}

/* One message at p[at..n). Returns true when it was an interim reply and another is to follow. */
static bool message(struct message *m, char kind, const char *p, uint32_t n, uint32_t at)
{
    enum fgw_framing f = FGW_BODY_NONE;
    uint64_t length = 0;
    m->head.fields = m->fields, m->trailers.fields = m->more;
    fgw_head_reset(&m->head), fgw_head_reset(&m->trailers);
    uint32_t cut = n > at ? at + (uint8_t)p[at + (n - at) / 2] % (n - at) : at;
    int r = head_parse(&m->head, kind, p + at, cut - at);
    if (r == 0) r = head_parse(&m->head, kind, p + at, n - at);
    if (r == 0) return end(m, "partial", FGW_E_NONE, n), false;
    if (r < 0) return end(m, "reject", (enum fgw_err)m->head.err, at), false;
    enum fgw_err e = kind == 'Q' ? fgw_framing_request(&m->head, &f, &length) : fgw_framing_reply(&m->head, kind == 'H', &f, &length);
    if (e) return end(m, "reject", e, at), false;
    bool interim = kind != 'Q' && m->head.status < 200 && m->head.status != 101;
    if (!interim) body(m, f, length, p, n, at + (uint32_t)r);
    else m->used = at + (uint32_t)r;
    return interim;
}

static void tell(const struct message *m, char kind)
{
    const struct fgw_head *h = &m->head;
    printf("{\"verdict\":\"%s\",\"word\":\"%s\",\"used\":%u", m->verdict, fgw_err_word(m->err), m->used);
    if (strcmp(m->verdict, "accept") == 0) {
        struct fgw_str a = fgw_head_method(h), b = kind == 'Q' ? fgw_head_target(h) : fgw_str(h->base + h->reason, h->reason_len);
        char status[8];
        snprintf(status, sizeof status, "%u", h->status);
        if (kind != 'Q') a = fgw_str(status, strlen(status));
        printf(",\"minor\":%u,\"first\":", h->minor), hex(a.p, a.n), printf(",\"second\":"), hex(b.p, b.n);
        printf(",\"fields\":"), field_list(h), printf(",\"body\":"), hex(m->body, m->nbody), printf(",\"trailers\":"), field_list(&m->trailers);
    }
    puts("}");
    fflush(stdout);
}

int main(void)
{
    char kind;
    uint32_t n;
    static struct message m;
    while (fread(&kind, 1, 1, stdin) == 1 && fread(&n, sizeof n, 1, stdin) == 1) {
        char *in = malloc(n + 1);
        if (!in || fread(in, 1, n, stdin) != n) return 1;
        char *p = at_edge(in, n);
        m.body = malloc(n + 1), m.nbody = 0, m.used = 0;
        while (message(&m, kind, p, n, m.used)) {}
        tell(&m, kind);
        at_edge_free(p, n);
        free(m.body), free(in);
    }
    return test_failures_ != 0 || test_last_ != &test_first_;
}
