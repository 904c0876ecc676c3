/* Request targets: a table of what becomes of each, and the small helpers beside. */
#include "http/target.c"
#include "test.h"

static const struct fgw_target_policy REJECT = {FGW_SLASHES_REJECT, true}, KEEP = {FGW_SLASHES_KEEP, true},
                                      DECODE = {FGW_SLASHES_DECODE, true}, REJECT_2 = {FGW_SLASHES_REJECT, false},
                                      KEEP_2 = {FGW_SLASHES_KEEP, false}, DECODE_2 = {FGW_SLASHES_DECODE, false};

/* Parse at an edge into a buffer of exactly the promised size, at an edge too. The views are copied out into `hold`. */
static enum fgw_err parse_target(const char *s, enum fgw_method m, const struct fgw_target_policy *pol, struct fgw_target *t)
{
    static char hold[3][4096];
    uint32_t n = (uint32_t)strlen(s), size = pol->slashes == FGW_SLASHES_KEEP ? 3 * n + 1 : n + 1;
    char *in = at_edge(s, n), *out = at_edge(s, n);
    at_edge_free(out, n);
    char *zeros = calloc(1, size);
    out = at_edge(zeros, size);
    enum fgw_err e = fgw_target_parse(fgw_str(in, n), m, pol, out, size, t);
    struct fgw_str *views[] = {&t->path, &t->query, &t->authority};
    for (int i = 0; i < 3; i++) {
        memcpy(hold[i], views[i]->p, views[i]->n);
        views[i]->p = hold[i];
    }
    at_edge_free(in, n), at_edge_free(out, size), free(zeros);
    return e;
}

static void path_is(const char *s, const struct fgw_target_policy *pol, const char *path)
{
    struct fgw_target t;
    int before = test_failures_;
    enum fgw_err e = parse_target(s, FGW_M_GET, pol, &t);
    EQ(e, path ? FGW_E_NONE : FGW_E_BAD_TARGET);
    EQ_STR(t.path, path ? path : "");
    if (path) {                                              /* normal form is a fixed point */
        char once[4096];
        snprintf(once, sizeof once, "%s", path);
        EQ(parse_target(once, FGW_M_GET, pol, &t), FGW_E_NONE);
        EQ_STR(t.path, once);
    }
    if (test_failures_ != before) fprintf(stderr, "  by %s\n", s);
}
#define ALL(s, path)                                                                                        \
    for (const struct fgw_target_policy *const *p_ = (const struct fgw_target_policy *const[]){&REJECT, &KEEP, &DECODE, \
             &REJECT_2, &KEEP_2, &DECODE_2, NULL}; *p_; p_++) path_is(s, *p_, path)

TEST(paths_that_stay)
{
    ALL("/", "/");
    ALL("/a", "/a");
    ALL("/a/", "/a/");
    ALL("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g");
    ALL("/.well-known/x", "/.well-known/x");
    ALL("/..a/.b./c../...", "/..a/.b./c../...");
    ALL("/a;b=c/d,e/@:!$&'()*+=", "/a;b=c/d,e/@:!$&'()*+=");
    ALL("/a/..;/b", "/a/..;/b");
    ALL("/%25/%20/%C3%A4", "/%25/%20/%C3%A4");
    ALL("/\"<>[]^`{|}", "/\"<>[]^`{|}");
}

TEST(percent_encoding)
{
    ALL("/%61%62%7E%2D%5f", "/ab~-_");
    ALL("/%41%30", "/A0");
    ALL("/%c3%a4%3f%23%25%3d", "/%C3%A4%3F%23%25%3D");
    ALL("/%2541", "/%2541");
    ALL("/%ff%FE", "/%FF%FE");
    ALL("/%3B%2c", "/%3B%2C");
    for (const char *const *p = (const char *const[]){"/%", "/%4", "/a%zz", "/%4g", "/%g4", "/%%41", "/% 1", "/%-1", "/%4%31", "/a%/b", "/%u0041",
             "/%?a", "/%4?1", "/%00", "/a%00b", "/%01", "/%0a", "/%0D%0A", "/%1f", "/%7f", "/%7F", "/%09", NULL}; *p; p++) ALL(*p, NULL);
}

TEST(dot_segments)
{
    ALL("/.", "/");
    ALL("/./", "/");
    ALL("/a/.", "/a/");
    ALL("/a/./b", "/a/b");
    ALL("/a/..", "/");
    ALL("/a/../", "/");
    ALL("/a/../b", "/b");
    ALL("/a/b/../../c", "/c");
    ALL("/a/b/c/./../../g", "/a/g");
    ALL("/a/%2e/b", "/a/b");
    ALL("/a/%2E%2e/b", "/b");
    ALL("/a/.%2e/b/%2e./c", "/c");
    ALL("/a/%2e%2e%3b/b", "/a/..%3B/b");
    ALL("/a/...", "/a/...");
    for (const char *const *p = (const char *const[]){"/..", "/../", "/../a", "/a/../..", "/a/../../b", "/%2e%2e", "/%2e%2e/", "/./..", "/.%2E/etc/passwd",
             "/a/./../../b", NULL}; *p; p++) ALL(*p, NULL);
}

TEST(double_slashes)
{
    path_is("//", &REJECT, "/");
    path_is("//a", &REJECT, "/a");
    path_is("/a//b///c//", &REJECT, "/a/b/c/");
    path_is("/a//../b", &REJECT, "/b");
    path_is("//..", &REJECT, NULL);
    path_is("/a/.//b", &REJECT, "/a/b");
    path_is("//", &REJECT_2, "//");
    path_is("//a//b", &REJECT_2, "//a//b");
    path_is("/a//../b", &REJECT_2, "/a/b");
    path_is("//..", &REJECT_2, "/");
    path_is("//../..", &REJECT_2, NULL);
    path_is("/a/.//b", &REJECT_2, "/a//b");
    path_is("//%41", &REJECT_2, "//A");
}

TEST(slashes_in_disguise)
{
    for (const char *const *p = (const char *const[]){"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a\\b", "/\\", "/%2f", "/..%2f", "/%2e%2e%5ca", NULL}; *p; p++) {
        path_is(*p, &REJECT, NULL);
        path_is(*p, &REJECT_2, NULL);
    }
    path_is("/a%2fb%5cc\\d", &KEEP, "/a%2Fb%5Cc%5Cd");
    path_is("/a/..%2fb", &KEEP, "/a/..%2Fb");
    path_is("/%2f/", &KEEP, "/%2F/");
    path_is("\\a", &KEEP, NULL);
    path_is("/\\\\\\\\\\\\\\\\", &KEEP, "/%5C%5C%5C%5C%5C%5C%5C%5C");
    path_is("/a%2fb%5cc\\d", &DECODE, "/a/b/c/d");
    path_is("/a%2f%2fb", &DECODE, "/a/b");
    path_is("/a%2f%2fb", &DECODE_2, "/a//b");
    path_is("/a/x%2f..%2f..%2fb", &DECODE, "/b");
    path_is("/a%5c..%5cb", &DECODE, "/b");
    path_is("/a%2f..%2f..", &DECODE, NULL);
    path_is("/..%2fb", &DECODE, NULL);
    path_is("/%2e%2e%2fb", &DECODE, NULL);
    path_is("/%252f", &DECODE, "/%252f");
}

TEST(bytes_that_no_target_has)
{
    struct fgw_target t;
    for (int c = 1; c < 256; c++) {
        char s[] = {'/', 'a', (char)c, 'b', 0}, q[] = {'/', '?', (char)c, 'b', 0};
        int special = c == '%' || c == '\\';
        EQ(parse_target(s, FGW_M_GET, &REJECT, &t) == FGW_E_NONE, c > 32 && c < 127 && c != '#' && !special);
        EQ(parse_target(q, FGW_M_GET, &REJECT, &t) == FGW_E_NONE, c > 32 && c < 127 && c != '#');
    }
    EQ(fgw_target_parse(fgw_str("/\0", 2), FGW_M_GET, &REJECT, NULL, 0, &t), FGW_E_BAD_TARGET);
    EQ(fgw_target_parse(fgw_str("", 0), FGW_M_GET, &REJECT, NULL, 0, &t), FGW_E_BAD_TARGET);
}

TEST(queries)
{
    struct fgw_target t;
    EQ(parse_target("/a?b=%2f%zz&c=/../x//y\\%00", FGW_M_GET, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.path, "/a");
    EQ_STR(t.query, "b=%2f%zz&c=/../x//y\\%00");
    OK(t.has_query);
    EQ(parse_target("/%61/..?", FGW_M_GET, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.path, "/");
    EQ_STR(t.query, "");
    OK(t.has_query);
    EQ(parse_target("/a", FGW_M_GET, &REJECT, &t), FGW_E_NONE);
    OK(!t.has_query);
    EQ(parse_target("/a??b", FGW_M_GET, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.query, "?b");
    EQ(parse_target("/..?a", FGW_M_GET, &REJECT, &t), FGW_E_BAD_TARGET);
    EQ_STR(t.query, "");
}

TEST(nothing_is_copied_without_need)
{
    struct fgw_target t;
    const char *s = "/.a/b?c";
    EQ(fgw_target_parse(fgw_str(s, 7), FGW_M_GET, &REJECT, NULL, 0, &t), FGW_E_NONE);
    OK(t.path.p == s && t.query.p == s + 6);
    EQ(fgw_target_parse(FGW_STR("/a%20b/%C3%A4?%2f"), FGW_M_GET, &REJECT, NULL, 0, &t), FGW_E_NONE);
    EQ(fgw_target_parse(FGW_STR("/a%2F%5C"), FGW_M_GET, &KEEP, NULL, 0, &t), FGW_E_NONE);
    EQ(fgw_target_parse(FGW_STR("/a%2F%5c"), FGW_M_GET, &KEEP, NULL, 0, &t), FGW_E_NO_MEMORY);
    char out[4];
    EQ(fgw_target_parse(FGW_STR("/%61%61%61%61"), FGW_M_GET, &REJECT, out, 4, &t), FGW_E_NO_MEMORY);
    EQ(t.path.n, 0);
    EQ(fgw_target_parse(FGW_STR("/%61%61%61"), FGW_M_GET, &REJECT, out, 4, &t), FGW_E_NONE);
    OK(t.path.p == out);
    EQ_STR(t.path, "/aaa");
}

TEST(absolute_form)
{
    static const struct { const char *s, *authority, *path; bool https; } T[] = {
        {"http://h", "h", "/", false}, {"HTTP://h/", "h", "/", false}, {"https://h:8443/a/../b", "h:8443", "/b", true},
        {"hTTps://[::1]:1/x", "[::1]:1", "/x", true}, {"http://h?q", "h", "/", false}, {"http://h.:80/%41", "h.:80", "/A", false},
        {"http://h//x", "h", "/x", false}, {"http://h:/x", "h:", "/x", false},
    };
    struct fgw_target t;
    for (size_t i = 0; i < FGW_COUNT(T); i++) {
        EQ(parse_target(T[i].s, FGW_M_GET, &REJECT, &t), FGW_E_NONE);
        EQ(t.form, FGW_FORM_ABSOLUTE);
        EQ(t.https, T[i].https);
        EQ_STR(t.authority, T[i].authority);
        EQ_STR(t.path, T[i].path);
    }
    EQ(parse_target("http://h?q=/", FGW_M_GET, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.query, "q=/");
    static const struct { const char *s; enum fgw_err e; } BAD[] = {
        {"ftp://h/", FGW_E_BAD_TARGET}, {"http:/h", FGW_E_BAD_TARGET}, {"http:h", FGW_E_BAD_TARGET}, {"h/a", FGW_E_BAD_TARGET}, {"a", FGW_E_BAD_TARGET},
        {"http", FGW_E_BAD_TARGET}, {"?a", FGW_E_BAD_TARGET}, {"http//h", FGW_E_BAD_TARGET}, {"http://u@h/", FGW_E_BAD_TARGET},
        {"http://u:p@h/", FGW_E_BAD_TARGET}, {"http://@h/", FGW_E_BAD_TARGET}, {"http://h/../x", FGW_E_BAD_TARGET}, {"http://h\\@x/", FGW_E_BAD_TARGET},
        {"http://", FGW_E_BAD_HOST}, {"http:///a", FGW_E_BAD_HOST}, {"http://?q", FGW_E_BAD_HOST}, {"http://:80/", FGW_E_BAD_HOST},
        {"http://h:x/", FGW_E_BAD_HOST}, {"http://h\\x/", FGW_E_BAD_HOST}, {"http://h:80:80/", FGW_E_BAD_HOST}, {"https://[::1/", FGW_E_BAD_HOST},
        {"http://a%20b/", FGW_E_BAD_HOST}, {"http://h:65536/", FGW_E_BAD_HOST},
    };
    for (size_t i = 0; i < FGW_COUNT(BAD); i++) {
        EQ(parse_target(BAD[i].s, FGW_M_GET, &REJECT, &t), BAD[i].e);
        EQ(t.path.n + t.authority.n + t.query.n, 0);
    }
}

TEST(asterisk_and_authority_form)
{
    struct fgw_target t;
    EQ(parse_target("*", FGW_M_OPTIONS, &REJECT, &t), FGW_E_NONE);
    EQ(t.form, FGW_FORM_ASTERISK);
    EQ_STR(t.path, "*");
    EQ(parse_target("*", FGW_M_GET, &REJECT, &t), FGW_E_BAD_TARGET);
    EQ(parse_target("**", FGW_M_OPTIONS, &REJECT, &t), FGW_E_BAD_TARGET);
    EQ(parse_target("/*", FGW_M_OPTIONS, &REJECT, &t), FGW_E_NONE);
    EQ(t.form, FGW_FORM_ORIGIN);
    EQ(parse_target("http://h", FGW_M_OPTIONS, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.path, "*");
    EQ(t.form, FGW_FORM_ABSOLUTE);
    EQ(parse_target("http://h/", FGW_M_OPTIONS, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.path, "/");
    EQ(parse_target("http://h?", FGW_M_OPTIONS, &REJECT, &t), FGW_E_NONE);
    EQ_STR(t.path, "/");
    EQ(parse_target("h:443", FGW_M_CONNECT, &REJECT, &t), FGW_E_NONE);
    EQ(t.form, FGW_FORM_AUTHORITY);
    EQ_STR(t.authority, "h:443");
    EQ_STR(t.path, "");
    EQ(parse_target("[::1]:443", FGW_M_CONNECT, &REJECT, &t), FGW_E_NONE);
    for (const char *const *p = (const char *const[]){"h", "h:", "h:0", ":1", "/", "*", "http://h:1", "u@h:1", "h:1/", "h:1?", "", NULL}; *p; p++)
        EQ(parse_target(*p, FGW_M_CONNECT, &REJECT, &t), FGW_E_BAD_TARGET);
    EQ(parse_target("h:443", FGW_M_GET, &REJECT, &t), FGW_E_BAD_TARGET);
}

TEST(authorities)
{
    static const struct { const char *s, *host; int port; } GOOD[] = {
        {"a", "a", 0}, {"Example.ORG:80", "Example.ORG", 80}, {"h:65535", "h", 65535}, {"h:", "h", 0}, {"h:00080", "h", 80}, {"127.0.0.1:1", "127.0.0.1", 1},
        {"[::1]", "[::1]", 0}, {"[2001:db8::1]:8080", "[2001:db8::1]", 8080}, {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0}, {"[::]:1", "[::]", 1},
        {"a-b_c~d.e!$&'()*+,;=", "a-b_c~d.e!$&'()*+,;=", 0}, {"999.1", "999.1", 0},
    };
    static const char *const BAD[] = {
        ":80", ":", "h:0", "h:00", "h:65536", "h:99999", "h:100000", "h:000080", "h:+1", "h:-1", "h:1a", "h: 1", "h:1 ", "a:b:c", "a:1:1", "::1", "u@h", "u:p@h",
        "[::1", "[]", "[::1]x", "[::1]:x", "[::1]]", "[1.2.3.4]", "[v1.a]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[:::]", "[g::]", "::1]", "a/b", "a?b", "a#b",
        "a b", "a\\b", "a%41", "a\tb", "\xc3\xa4", "a[b]", "<a>", "a\"", "a`", "{a}", "a|b", "a^b", "[::1]80",
        "[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0]",
    };
    struct fgw_str host;
    uint16_t port;
    for (size_t i = 0; i < FGW_COUNT(GOOD); i++) {
        char *edge = at_edge(GOOD[i].s, strlen(GOOD[i].s));
        OK(fgw_authority_split(fgw_str(edge, strlen(GOOD[i].s)), &host, &port, false));
        EQ_STR(host, GOOD[i].host);
        EQ(port, GOOD[i].port);
        at_edge_free(edge, strlen(GOOD[i].s));
    }
    for (size_t i = 0; i < FGW_COUNT(BAD); i++) {
        char *edge = at_edge(BAD[i], strlen(BAD[i]));
        if (fgw_authority_split(fgw_str(edge, strlen(BAD[i])), &host, &port, true)) fprintf(stderr, "taken: %s\n", BAD[i]), test_failures_++;
        at_edge_free(edge, strlen(BAD[i]));
    }
    OK(fgw_authority_split(FGW_STR(""), &host, &port, true));
    EQ(host.n, 0);
    OK(!fgw_authority_split(FGW_STR(""), &host, &port, false));
    OK(!fgw_authority_split(fgw_str("[::1\0]", 6), &host, &port, false));
    OK(!fgw_authority_split(fgw_str("a\0b", 3), &host, &port, false));
}

TEST(hosts_fold)
{
    static const struct { const char *s, *want; } T[] = {{"Example.ORG", "example.org"}, {"example.org.", "example.org"}, {"[2001:DB8::A]", "[2001:db8::a]"},
        {"A..", "a."}, {".", ""}, {"", ""}, {"@[`{AZaz09-_", "@[`{azaz09-_"}};
    for (size_t i = 0; i < FGW_COUNT(T); i++) {
        char out[64];
        EQ_STR(fgw_str(out, fgw_host_fold(fgw_str(T[i].s, strlen(T[i].s)), out)), T[i].want);
    }
}

static void query_is(const char *query, const char *name, const char *want)
{
    char out[16] = "unchanged", *edge = at_edge(query, strlen(query));
    struct fgw_str v = {"", 0};
    int before = test_failures_;
    EQ(fgw_query_get(fgw_str(edge, strlen(query)), fgw_str(name, strlen(name)), out, 8, &v), want != NULL);
    EQ_STR(v, want ? want : "");
    if (test_failures_ != before) fprintf(stderr, "  by %s of %s\n", name, query);
    at_edge_free(edge, strlen(query));
}

TEST(query_parameters)
{
    query_is("a=1&b=2", "a", "1");
    query_is("a=1&b=2", "b", "2");
    query_is("a=1&b=2", "c", NULL);
    query_is("", "a", NULL);
    query_is("a", "a", "");
    query_is("a=", "a", "");
    query_is("&&a=1&", "a", "1");
    query_is("aa=1&a=2&a=3", "a", "2");
    query_is("a=b=c", "a", "b=c");
    query_is("a=x+y%20z%2", "a", "x y z%2");
    query_is("a=%zz%41", "a", "%zzA");
    query_is("%61=1", "a", "1");
    query_is("a+b=1", "a b", "1");
    query_is("a%3Db=1", "a=b", "1");
    query_is("=1", "", "1");
    query_is("b&a=12345678", "a", "12345678");
    query_is("a=123456789&a=1", "a", NULL);
    query_is("a=%31%32%33%34%35%36%37%38", "a", "12345678");
    query_is("A=1", "a", NULL);
    query_is("ab=1", "a", NULL);
    query_is("a;b=1", "b", NULL);
}

TEST_MAIN()
