#include "test.h"
#include "policy/route.c"
#include "policy/seg.h"

/* The route that a request takes, "-" for none; its parameters are left in `out`. All texts end at unmapped pages. */
static struct fgw_route_out out;
static char found[64];
static struct fgw_regexes *regexes;       /* of the segment that is asked, if it has any */
static char *edges[2];
static size_t edges_n[2];

static const char *ask(struct seg *s, const char *host, const char *path)
{
    for (int i = 0; i < 2; i++)
        if (edges[i]) at_edge_free(edges[i], edges_n[i]);
    edges_n[0] = strlen(host), edges_n[1] = strlen(path);
    edges[0] = at_edge(host, edges_n[0]), edges[1] = at_edge(path, edges_n[1]);
    struct fgw_route_in in = {.host = fgw_str(edges[0], edges_n[0]), .path = fgw_str(edges[1], edges_n[1]),
                              .query = FGW_STR("q=1"), .method = FGW_STR("GET"), .method_id = FGW_M_GET, .regexes = regexes};
    memset(&out, 0xee, sizeof out);
    bool ok = fgw_route_find(s->p, &in, &out);
    EQ(ok, out.route != NULL);
    struct fgw_str name = ok ? fgw_l_text(s->p, out.route->name) : FGW_STR("-");
    snprintf(found, sizeof found, "%.*s", (int)name.n, name.p);
    return found;
}
#define TAKES(host, path, route) \
    do { const char *r_ = ask(&s, (host), (path)); if (strcmp(r_, (route))) { OK(strcmp(r_, (route)) == 0); \
        fprintf(stderr, "  %s %s took %s\n", (host), (path), r_); } } while (0)
#define NODE(off) SEG_AT(&s, node, off)
#define LITERAL(parent, text) seg_node(&s, FGW_NODE_LITERAL, (parent), (text))

/* The leaf of prefix `off`, behind which the shorter prefix `next` is tried. */
static uint32_t prefix(struct seg *s, const char *route, uint32_t next)
{
    uint32_t leaf = seg_leaf_of(s, route, 0);
    SEG_AT(s, leaf, leaf)->next = next;
    return leaf;
}

TEST(prefixes_match_by_segment_and_the_longest_wins)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = LITERAL(root, "a"), ab = LITERAL(a, "b");
    uint32_t la = prefix(&s, "a", 0), lab = prefix(&s, "ab", la), under = prefix(&s, "ab/", lab);
    NODE(a)->ended = NODE(a)->goes_on = la;
    NODE(ab)->ended = lab, NODE(ab)->goes_on = under;
    OK(seg_check(&s) == NULL);
    TAKES("x", "/a", "a"); TAKES("x", "/a/", "a"); TAKES("x", "/a/c", "a");
    TAKES("x", "/a/b", "ab"); TAKES("x", "/a/b/", "ab/"); TAKES("x", "/a/b/c/d", "ab/");
    TAKES("x", "/ab", "-"); TAKES("x", "/", "-"); TAKES("x", "/A", "-"); TAKES("x", "//a", "-");
    TAKES("x", "*", "-"); TAKES("x", "", "-");
    seg_free(&s);
}

TEST(a_row_of_segments_is_one_node)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), row = LITERAL(root, "open/orders/mine"), other = LITERAL(root, "closed");
    NODE(row)->leaf = NODE(row)->ended = seg_leaf_of(&s, "row", 0);
    NODE(other)->leaf = NODE(other)->ended = seg_leaf_of(&s, "other", 0);
    OK(seg_check(&s) == NULL);
    TAKES("x", "/open/orders/mine", "row"); TAKES("x", "/closed", "other");
    TAKES("x", "/open/orders", "-"); TAKES("x", "/open/orders/mine/", "-"); TAKES("x", "/open/orders/mines", "-");
    TAKES("x", "/open/orders/min", "-"); TAKES("x", "/open", "-"); TAKES("x", "/closed/orders/mine", "-");
    NODE(root)->fanout = FGW_FANOUT_ONE, NODE(root)->only = row;
    TAKES("x", "/open/orders/mine", "row"); TAKES("x", "/open/orders/mines", "-"); TAKES("x", "/closed", "-"); TAKES("x", "/", "-");
    seg_free(&s);
}

TEST(literal_before_parameter_before_rest_and_back)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = LITERAL(root, "a"), ab = LITERAL(a, "b"), abc = LITERAL(ab, "c");
    uint32_t p = seg_node(&s, FGW_NODE_PARAM, a, ""), pd = LITERAL(p, "d"), pp = seg_node(&s, FGW_NODE_PARAM, p, "");
    NODE(abc)->leaf = NODE(abc)->ended = seg_leaf_of(&s, "/a/b/c", 0);
    NODE(pd)->leaf = seg_leaf_of(&s, "/a/{}/d", 1);
    NODE(pp)->leaf = seg_leaf_of(&s, "/a/{}/{}", 2);
    NODE(a)->rest = seg_leaf_of(&s, "/a/{*}", 1);
    OK(seg_check(&s) == NULL);
    TAKES("x", "/a/b/c", "/a/b/c"); EQ(out.route->nparams, 0);
    TAKES("x", "/a/b/d", "/a/{}/d"); EQ_STR(out.params[0], "b");
    TAKES("x", "/a/b/e", "/a/{}/{}"); EQ_STR(out.params[0], "b"); EQ_STR(out.params[1], "e");
    TAKES("x", "/a/xyz/d", "/a/{}/d"); EQ_STR(out.params[0], "xyz");
    TAKES("x", "/a/b", "/a/{*}"); EQ_STR(out.params[0], "b");
    TAKES("x", "/a/b/c/d/e", "/a/{*}"); EQ_STR(out.params[0], "b/c/d/e");
    TAKES("x", "/a/", "/a/{*}"); EQ_STR(out.params[0], "");
    TAKES("x", "/a//d", "/a/{*}"); EQ_STR(out.params[0], "/d");
    TAKES("x", "/a/b/", "/a/{*}"); EQ_STR(out.params[0], "b/");
    TAKES("x", "/a", "-");
    seg_free(&s);
}

TEST(what_a_leaf_refuses_is_looked_for_further_on)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = LITERAL(root, "a"), p = seg_node(&s, FGW_NODE_PARAM, root, "");
    uint32_t post = seg_leaf(&s, 0, &(struct fgw_l_cand){.route = seg_route(&s, "post", 0), .methods = 1 << FGW_M_POST}, 1);
    uint32_t put = seg_leaf(&s, 1, &(struct fgw_l_cand){.route = seg_route(&s, "put", 1), .methods = 1 << FGW_M_PUT | 1 << FGW_M_GET}, 1);
    uint32_t all = prefix(&s, "all", 0);
    NODE(a)->leaf = NODE(a)->ended = post, NODE(p)->leaf = put;
    OK(seg_check(&s) == NULL);
    TAKES("x", "/a", "put"); EQ(out.allow, 0);
    SEG_AT(&s, cand, SEG_AT(&s, leaf, put)->cands.off)->methods = 1 << FGW_M_PUT;
    TAKES("x", "/a", "-"); EQ(out.allow, 1 << FGW_M_POST | 1 << FGW_M_PUT);
    TAKES("x", "/b", "-"); EQ(out.allow, 1 << FGW_M_PUT);
    TAKES("x", "/b/c", "-"); EQ(out.allow, 0);
    SEG_AT(&s, leaf, post)->next = 0, NODE(root)->ended = NODE(root)->goes_on = all;
    NODE(a)->goes_on = all;
    TAKES("x", "/b", "all"); EQ(out.allow, 0);
    TAKES("x", "/a/b", "all");
    seg_free(&s);
}

TEST(of_candidates_the_first_that_fits)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = LITERAL(root, "a");
    struct fgw_l_str name = seg_text(&s, "q"), one = seg_text(&s, "1"), two = seg_text(&s, "2");
    struct fgw_l_arr q1 = {SEG_PUT(&s, cond, {.name = name, .value = one}), 1}, q2 = {SEG_PUT(&s, cond, {.name = name, .value = two}), 1};
    struct fgw_l_cand cands[] = {{.route = seg_route(&s, "q2", 0), .methods = UINT16_MAX, .query = q2},
                                 {.route = seg_route(&s, "post", 0), .methods = 1 << FGW_M_POST},
                                 {.route = seg_route(&s, "q1", 0), .methods = UINT16_MAX, .query = q1},
                                 {.route = seg_route(&s, "plain", 0), .methods = UINT16_MAX}};
    NODE(a)->leaf = NODE(a)->ended = seg_leaf(&s, 0, cands, 4);
    OK(seg_check(&s) == NULL);
    TAKES("x", "/a", "q1");
    seg_free(&s);
}

TEST(hosts_exact_then_longest_wildcard_then_any)
{
    struct seg s = seg_routes();
    uint32_t any = seg_any(&s), roots[4];
    uint32_t hosts = seg_node(&s, FGW_NODE_HOSTS, 0, ""), wilds = seg_node(&s, FGW_NODE_HOSTS, 0, "");
    uint32_t host = seg_node(&s, FGW_NODE_HOST, hosts, "api.example.org"), api = seg_node(&s, FGW_NODE_ROOT, 0, "");
    uint32_t org = seg_node(&s, FGW_NODE_HOST, wilds, "org"), in_org = seg_node(&s, FGW_NODE_ROOT, 0, "");
    uint32_t example = seg_node(&s, FGW_NODE_HOST, wilds, "example.org"), in_example = seg_node(&s, FGW_NODE_ROOT, 0, "");
    NODE(any)->ended = NODE(any)->goes_on = prefix(&s, "any", 0);
    NODE(in_org)->ended = NODE(in_org)->goes_on = prefix(&s, "org", 0);
    uint32_t one = LITERAL(api, "one"), two = LITERAL(in_example, "two");
    NODE(one)->leaf = NODE(one)->ended = seg_leaf_of(&s, "one", 0);
    NODE(two)->leaf = NODE(two)->ended = seg_leaf_of(&s, "two", 0);
    memcpy(roots, (uint32_t[]){api, in_example, in_org, any}, sizeof roots);
    seg_tries(&s, host, roots, 4), seg_tries(&s, example, roots + 1, 3), seg_tries(&s, org, roots + 2, 2);
    seg_top(&s)->hosts = hosts, seg_top(&s)->wilds = wilds, seg_top(&s)->wild_labels = 1 << 1 | 1 << 2;
    OK(seg_check(&s) == NULL);
    TAKES("api.example.org", "/one", "one"); TAKES("api.example.org", "/two", "two"); TAKES("api.example.org", "/", "org");
    TAKES("b.example.org", "/one", "org"); TAKES("b.example.org", "/two", "two"); TAKES("c.b.example.org", "/two", "two");
    TAKES("example.org", "/two", "org"); TAKES("org", "/two", "any"); TAKES("api.example.com", "/two", "any");
    TAKES("", "/", "any"); TAKES("xapi.example.org", "/one", "org"); TAKES("notexample.org", "/two", "org");
    char far[300];
    memset(far, 'a', sizeof far);
    strcpy(far + 280, ".example.org");
    TAKES(far, "/two", "two");
    for (int i = 1; i < 280; i += 2) far[i] = '.';
    TAKES(far, "/two", "two");
    seg_top(&s)->any = 0;
    TAKES("api.example.com", "/two", "-");
    seg_free(&s);
}

TEST(a_root_that_shares_no_bit_is_not_tried)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = LITERAL(root, "a");
    NODE(a)->leaf = NODE(a)->ended = seg_leaf_of(&s, "a", 0);
    OK(seg_check(&s) == NULL);
    struct fgw_l_try *t = SEG_AT(&s, try, NODE(seg_top(&s)->any)->roots.off);
    t->firsts = fgw_route_first(fgw_route_hash("a", 1));
    TAKES("x", "/a", "a");
    t->firsts = ~(fgw_route_first(fgw_route_hash("a", 1)) | FGW_ROUTE_ALWAYS);
    TAKES("x", "/a", "-");
    seg_free(&s);
}

TEST(star_is_a_path_of_no_segments)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s);
    NODE(root)->ended = prefix(&s, "all", 0), NODE(root)->goes_on = prefix(&s, "/", NODE(root)->ended);
    OK(seg_check(&s) == NULL);
    TAKES("x", "*", "all"); TAKES("x", "/", "/"); TAKES("x", "/*", "/");
    TAKES("x", "", "all");                               /* authority form: a tunnel's host has no path at all */
    NODE(root)->rest = seg_leaf_of(&s, "{*}", 1);
    TAKES("x", "*", "all"); TAKES("x", "", "all"); TAKES("x", "/*", "{*}"); EQ_STR(out.params[0], "*");
    seg_free(&s);
}

TEST(regexes_come_last_and_in_order)
{
    struct seg s = seg_routes();
    char err[100] = "";
    uint32_t root = seg_any(&s), a = LITERAL(root, "a");
    NODE(a)->leaf = NODE(a)->ended = seg_leaf_of(&s, "exact", 0);
    NODE(a)->goes_on = prefix(&s, "prefix", 0);
    struct fgw_l_rx rx[3] = {seg_regex(&s, "post", "/.*", 0), seg_regex(&s, "number", "/(?<id>[0-9]+)/(.)(?<rest>.*)?", 2), seg_regex(&s, "any", "/[^a].*", 0)};
    SEG_AT(&s, cand, SEG_AT(&s, leaf, rx[0].leaf)->cands.off)->methods = 1 << FGW_M_POST;
    seg_mixed(&s, seg_top(&s)->any, root, rx, 3);
    OK(seg_check(&s) == NULL);
    TAKES("x", "/a", "exact"); TAKES("x", "/1/x", "-");      /* no patterns were given: none matches, and nothing is read */
    EQ(out.allow, 0);
    regexes = fgw_regexes_new(s.p);
    EQ(fgw_regexes_compile(regexes, 9, err, sizeof err), 0);
    TAKES("x", "/a", "exact"); TAKES("x", "/a/1", "prefix");
    TAKES("x", "/12/xyz", "number"); EQ_STR(out.params[0], "12"); EQ_STR(out.params[1], "yz");
    TAKES("x", "/12/x", "number"); EQ_STR(out.params[1], "");
    TAKES("x", "/b", "any"); TAKES("x", "/", "-"); EQ(out.allow, 1 << FGW_M_POST);
    TAKES("x", "*", "-"); TAKES("x", "", "-");
    NODE(root)->ended = NODE(root)->goes_on = prefix(&s, "all", 0);
    TAKES("x", "/12/x", "all"); TAKES("x", "*", "all");
    fgw_regexes_free(regexes);
    regexes = NULL;
    seg_free(&s);
}

TEST(segments_of_any_length_are_told_apart)
{
    struct seg s = seg_routes();
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint32_t root = seg_any(&s), x = LITERAL(root, "x");
    char path[80], text[64];
    for (uint32_t n = 1; n < 30; n++) {
        snprintf(text, sizeof text, "%.*s", (int)n, LETTERS);
        uint32_t at = LITERAL(n % 2 ? root : x, text);
        NODE(at)->leaf = NODE(at)->ended = seg_leaf_of(&s, text, 0);
    }
    OK(seg_check(&s) == NULL);
    for (uint32_t n = 1; n < 60; n++) {
        snprintf(path, sizeof path, "/%s%.*s", n % 2 ? "" : "x/", (int)n, LETTERS);
        TAKES("", path, n < 30 ? path + (n % 2 ? 1 : 3) : "-");
        path[strlen(path) - 1] = '_';
        TAKES("", path, "-");
    }
    seg_free(&s);
}

TEST(bits_are_those_of_the_bytes)
{
    char text[64];
    for (uint32_t n = 0; n <= 64; n++)
        for (uint32_t seed = 0; seed < 8; seed++) {
            uint64_t want = 0;
            for (uint32_t i = 0; i < n; i++) {
                text[i] = (i * 7 + seed) % 5 == 0 ? '/' : (char)('.' + (i & 3) * ((seed & 1) + 1));
                if (i % 3 == seed % 3) text[i] = (char)0xaf;
                want |= (uint64_t)(text[i] == '/') << i;
            }
            char *p = at_edge(text, n);
            OK(bits_of(p, n, '/') == want);
            for (uint32_t from = 0; from < n; from++) {
                uint32_t end = from;
                while (end < n && text[end] != '/') end++;
                EQ(segment_end(fgw_str(p, n), from, UINT32_MAX), end);
                if (end - from > 3) OK(segment_end(fgw_str(p, n), from, 3) > from + 3);
            }
            at_edge_free(p, n);
        }
}

TEST(strip_leaves_what_is_behind)
{
    struct fgw_l_route r = {.strip = 2};
    EQ_STR(fgw_route_rest(&r, FGW_STR("/a/b")), "/b");
    EQ_STR(fgw_route_rest(&r, FGW_STR("/a")), "");
    EQ_STR(fgw_route_rest(&r, FGW_STR("*")), "");
}

TEST_MAIN()
