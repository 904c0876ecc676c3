/* tests/fuzz/fuzz_tls.c: what is not TLS, or no longer, against a listener: as the handshake, and as records behind a good one.
 * Input: a byte of choices (1: behind a handshake, 2: certificates of clients are asked for, 4: the client hangs up at the end), then
 * pieces: a length, and so many bytes, with a turn of the loop after each. */
#include "base/check.h"
#include "io/tls_play.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))

static struct fgw_tls_server *servers[2];
static SSL_CTX *ctx;

static void once(void)
{
    struct pem ca = pem_make("root", NULL, NULL, 3000, false), a = pem_make("a", "DNS:a.test,DNS:*.w.test", &ca, 3000, false);
    struct fgw_tls_pem certs[] = {{a.cert, a.key}};
    play_begin();
    for (int auth = 0; auth < 2; auth++) MUST((servers[auth] = server(certs, 1, auth ? ca.cert : FGW_STR(""), auth)));
    ctx = client_ctx(&ca, NULL);
    pem_free(&a), pem_free(&ca);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    if (size < 2 || size > 8192) return 0;
    if (!ctx) once();
    bool behind = in[0] & 1, hang_up = in[0] & 4;
    struct fgw_tls_server *s = servers[in[0] >> 1 & 1];
    if (behind) MUST(play_shake(s, ctx, "a.test", NULL));
    else play_open(s);
    for (size_t at = 1; at < size;) {
        size_t n = in[at++];
        if (n > size - at) n = size - at;
        ssize_t r = send(t.peer, in + at, n, MSG_NOSIGNAL);
        (void)r;                                       /* it may have hung up already */
        at += n;
        turn(1);
    }
    if (hang_up) shutdown(t.peer, SHUT_WR);
    turn(4);
    MUST(t.got_n == 0);                                /* nobody without the keys is heard */
    MUST(!t.done || t.why || t.open || t.fails == 1);
    MUST(!behind || !hang_up || !t.open || t.c.eof);
    if (!behind) MUST(!t.done || t.why);               /* and nobody gets through by chance */
    play_close();
    MUST(l.bufs.nodes.live == 0 && l.wheel.armed == 0);
    return 0;
}
