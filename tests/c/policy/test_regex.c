#include "test.h"
#include "policy/regex.c"
#include "policy/seg.h"

static struct fgw_regex_info info;
static struct fgw_str params[FGW_PARAMS_MAX];

/* Does the pattern take the path, which ends at an unmapped page? Parameters are left in `params`. */
static bool takes(struct fgw_regexes *s, const char *path)
{
    static char *edge;
    static size_t edge_n;
    if (edge) at_edge_free(edge, edge_n);
    edge_n = strlen(path), edge = at_edge(path, edge_n);
    return fgw_regexes_match(s, 0, fgw_str(edge, edge_n), params);
}
static struct fgw_regexes *made(const char *pattern) { return fgw_regexes_of(fgw_str(pattern, strlen(pattern)), &info); }

TEST(the_whole_path_is_matched)
{
    struct fgw_regexes *s = made("/a|/ab+");
    OK(takes(s, "/a")); OK(takes(s, "/ab")); OK(takes(s, "/abb"));
    OK(!takes(s, "/abc")); OK(!takes(s, "x/a")); OK(!takes(s, "/a/")); OK(!takes(s, "/a\n"));
    fgw_regexes_free(s);
    s = made("/[^/]+$");
    OK(takes(s, "/\xc3\xa9")); OK(!takes(s, "/")); OK(!takes(s, "/a/"));
    fgw_regexes_free(s);
}

TEST(named_groups_are_parameters_by_number)
{
    struct fgw_regexes *s = made("/(?<z>[0-9]+)(-)?(?<a>[a-z])?/(?:(?<none>x)|y)");
    EQ(info.nnames, 3);
    EQ_STR(info.names[0], "z"); EQ_STR(info.names[1], "a"); EQ_STR(info.names[2], "none");
    OK(takes(s, "/12-b/y"));
    EQ_STR(params[0], "12"); EQ_STR(params[1], "b"); EQ_STR(params[2], "");
    OK(takes(s, "/1/x"));
    EQ_STR(params[0], "1"); EQ_STR(params[1], ""); EQ_STR(params[2], "x");
    fgw_regexes_free(s);
    s = made("/(?=(?<k>a\\Kb))..");                       /* a group whose end lies before its begin is empty */
    if (s && takes(s, "/ab")) OK(params[0].n <= 3);
    fgw_regexes_free(s);
}

TEST(what_is_no_pattern_says_where)
{
    static const struct { const char *pattern; uint32_t at; const char *why; } BAD[] = {
        {"/a(b", 4, "missing closing parenthesis"}, {"/[z-a]", 4, "range out of order in character class"},
        {"", 0, "the pattern is empty"}, {"(*UTF)/a", 6, "using UTF is disabled by the application"},
        {"/\\C", 3, "using \\C is disabled by the application"}, {"/(?<a>x)(?<a>y)", 13, "two named subpatterns have the same name (PCRE2_DUPNAMES not set)"},
        {"/(?J)(?<a>x)|(?<a>y)", 0, "two groups have one name"},
    };
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        OK(made(BAD[i].pattern) == NULL);
        EQ(info.offset, BAD[i].at);
        OK(strcmp(info.error, BAD[i].why) == 0);
        if (strcmp(info.error, BAD[i].why)) fprintf(stderr, "  %s: %s\n", BAD[i].pattern, info.error);
    }
    char many[FGW_REGEX_MAX + 2] = "/";
    for (int i = 0; i <= FGW_REGEX_GROUPS_MAX; i++) strcat(many, "(a)");
    OK(!made(many) && strstr(info.error, "groups"));
    strcpy(many, "/");
    for (int i = 0; i <= FGW_PARAMS_MAX; i++) sprintf(many + strlen(many), "(?<n%d>a)", i);
    OK(!made(many) && strstr(info.error, "named groups"));
    memset(many, 'a', FGW_REGEX_MAX + 1);
    OK(!made(many) && strstr(info.error, "too long"));
    many[FGW_REGEX_MAX] = 0;
    struct fgw_regexes *s = made(many);
    OK(s != NULL); EQ(info.first, 'a');
    fgw_regexes_free(s);
}

/* What a pattern may cost is bounded, and told. In compiled code and in the interpreter. */
static void catastrophe(const char *pattern, const char *path)
{
    struct fgw_regexes *s = made(pattern);
    struct fgw_regex_given_up g;
    OK(s != NULL);
    OK(!fgw_regexes_given_up(s, &g));
    for (int i = 0; i < 3; i++) OK(!takes(s, path));
    OK(fgw_regexes_given_up(s, &g)); EQ(g.times, 3); OK(g.first); EQ(g.regex, 0);
    OK(!fgw_regexes_given_up(s, &g));
    OK(!takes(s, path));
    OK(fgw_regexes_given_up(s, &g)); EQ(g.times, 1); OK(!g.first);
    fgw_regexes_free(s);
}

TEST(a_match_that_takes_too_long_is_given_up)
{
    enum { LONG = 8000 };
    char *path = malloc(LONG + 1);
    memset(path, 'a', LONG), path[0] = '/', path[LONG - 1] = 'b', path[LONG] = 0;
    catastrophe("/(a+)+$", path);
    catastrophe("(*NO_JIT)/(a+)+$", path);
    catastrophe("/(a|aa)+$", path);
    catastrophe("(*NO_JIT)/(a|aa)+$", path);
    catastrophe("/.*.*.*.*[0-9]", path);
    catastrophe("(*NO_JIT)/(?<x>(?:a|(?&x))+)c", path);
    struct fgw_regexes *s = made("/(?:[a-z]|-)*");          /* and what is honest passes, however long */
    OK(takes(s, path));
    fgw_regexes_free(s);
    free(path);
}

TEST(a_segments_patterns_are_compiled_in_slices)
{
    struct seg s = seg_routes();
    char err[100] = "";
    uint32_t root = seg_any(&s);
    struct fgw_l_rx rx[3] = {seg_regex(&s, "a", "/a", 0), seg_regex(&s, "b", "/b(?<x>.)", 1), seg_regex(&s, "c", "/c", 0)};
    seg_mixed(&s, seg_top(&s)->any, root, rx, 3);
    OK(seg_check(&s) == NULL);
    struct fgw_regexes *r = fgw_regexes_new(s.p);
    EQ(fgw_regexes_compile(r, 1, err, sizeof err), 2);
    OK(fgw_regexes_match(r, 0, FGW_STR("/a"), params) && !fgw_regexes_match(r, 1, FGW_STR("/bb"), params));
    EQ(fgw_regexes_compile(r, 9, err, sizeof err), 0);
    OK(fgw_regexes_match(r, 1, FGW_STR("/bb"), params) && fgw_regexes_match(r, 2, FGW_STR("/c"), params));
    OK(!fgw_regexes_match(r, 3, FGW_STR("/c"), params));
    fgw_regexes_free(r);
    SEG_AT(&s, regex, seg_top(&s)->regexes.off)[1].text = seg_text(&s, "/b");
    r = fgw_regexes_new(s.p);
    EQ(fgw_regexes_compile(r, 9, err, sizeof err), -1);
    OK(strcmp(err, "route b: its regex is refused: its named groups are not its parameters") == 0);
    fgw_regexes_free(r);
    SEG_AT(&s, regex, seg_top(&s)->regexes.off)[1].text = seg_text(&s, "/b)");
    r = fgw_regexes_new(s.p);
    EQ(fgw_regexes_compile(r, 9, err, sizeof err), -1);
    OK(strstr(err, "route b: its regex is refused: unmatched") != NULL);
    fgw_regexes_free(r);
    fgw_regexes_free(NULL);
    seg_free(&s);
}

TEST_MAIN()
