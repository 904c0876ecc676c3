/* Parses one message head over and over: parser_vs_llhttp.py counts the instructions inside the parser's own calls.
 *   parser_run FILE request|reply ROUNDS [plain|sse4.2|avx2]      prints the bytes and the fields of one head, and the ns of one
 * Built twice: as it is with our parser, with -DLLHTTP and llhttp's sources with the other. Either way every head is
 * taken whole, the parser's state is fit for the next one afterwards, and each field has been seen by its user: ours
 * has it in a list, llhttp called back for name and value (callbacks that do nothing but count). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct seen { int ok; unsigned fields; };

#ifdef LLHTTP
#include "llhttp.h"

static unsigned fields;
static int nothing(llhttp_t *p) { (void)p; return 0; }
static int bytes(llhttp_t *p, const char *at, size_t n) { (void)p, (void)at, (void)n; return 0; }
static int one_field(llhttp_t *p, const char *at, size_t n) { (void)p, (void)at, (void)n; fields++; return 0; }
static int no_body(llhttp_t *p) { return p->type == HTTP_RESPONSE; }      /* 1: as to a HEAD, the head is all there is */

static llhttp_t parser;
static llhttp_settings_t settings;                                        /* those that httptools sets */
static void begin(const char *kind, const char *level)
{
    (void)level;
    llhttp_settings_init(&settings);
    settings.on_message_begin = nothing;
    settings.on_url = settings.on_status = settings.on_header_value = settings.on_body = bytes;
    settings.on_header_field = one_field;
    settings.on_headers_complete = no_body;
    settings.on_message_complete = nothing;
    llhttp_init(&parser, strcmp(kind, "reply") == 0 ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
}

__attribute__((noinline)) struct seen parse_once(const char *p, size_t n)
{
    fields = 0;
    int ok = llhttp_execute(&parser, p, n) == HPE_OK;
    return (struct seen){ok, fields};
}

#else
#include "http/head.h"

enum { FIELDS = 100 };
static struct fgw_field list[FIELDS];
static struct fgw_head head = {.fields = list};
static int is_reply;
static void begin(const char *kind, const char *level)
{
    is_reply = strcmp(kind, "reply") == 0;
    for (enum fgw_simd s = FGW_SIMD_PLAIN; s <= FGW_SIMD_AVX2; s++)
        if (strcmp(level, fgw_simd_name(s)) == 0 && !fgw_head_simd_use(s)) fprintf(stderr, "no %s here\n", level), exit(3);
}

__attribute__((noinline)) struct seen parse_once(const char *p, size_t n)
{
    static const struct fgw_head_limits LIMITS = {16384, 16384, 65536, FIELDS};
    fgw_head_reset(&head);
    int r = is_reply ? fgw_head_parse_reply(&head, p, (uint32_t)n, &LIMITS) : fgw_head_parse_request(&head, p, (uint32_t)n, &LIMITS);
    return (struct seen){r == (int)n, head.nfields};
}
#endif

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    static char text[65536];
    FILE *f = fopen(argv[1], "rb");
    if (!f) { perror(argv[1]); return 2; }
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    char *p = malloc(n);                                                  /* no byte behind it belongs to us */
    memcpy(p, text, n);
    begin(argv[2], argc > 4 ? argv[4] : "avx2");
    struct timespec a, b;
    struct seen s = {0, 0};
    int rounds = atoi(argv[3]);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < rounds; i++)
        if (!(s = parse_once(p, n)).ok) { fprintf(stderr, "%s: not taken whole\n", argv[1]); return 1; }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    printf("{\"bytes\": %zu, \"fields\": %u, \"ns\": %.1f}\n", n, s.fields, ns / rounds);
    free(p);
    return 0;
}
