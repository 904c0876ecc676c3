#define PCRE2_CODE_UNIT_WIDTH 8
#include "policy/regex.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

/* Limits of one match. Steps are counted by PCRE2: compiled code counts fewer for the same work. Depth and heap bound the interpreter, which
 * runs where no code can be made; the stack bounds the code. */
enum { STEPS_MAX = 50000, DEPTH_MAX = 20000, HEAP_KIB = 4096, STACK_BEGIN = 32 << 10, STACK_MAX = 512 << 10 };

enum { OPTIONS = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C };

struct one {
    pcre2_code *code;
    struct fgw_str text, route;
    uint32_t given_up;
    uint8_t nparams, told;
    uint8_t groups[FGW_PARAMS_MAX];                          /* numbers of the named ones, ascending */
};
struct fgw_regexes {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    uint32_t n, ready, given_up;                             /* given_up: matches of all that nobody has been told of */
    struct one v[];
};

/* ---- compiling ---- */

static int wrong(struct fgw_regex_info *out, uint32_t offset, const char *why)
{
    snprintf(out->error, sizeof out->error, "%s", why);
    out->offset = offset;
    return -1;
}

/* The named groups by number. PCRE2's table is in the order of names, each behind its number, big-endian. */
static int read_names(const pcre2_code *code, struct fgw_str pattern, struct fgw_regex_info *out, uint8_t *groups)
{
    uint32_t count = 0, size = 0, captures = 0, n = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &captures);
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    if (captures > FGW_REGEX_GROUPS_MAX) return wrong(out, 0, "more than 64 groups");
    if (count > FGW_PARAMS_MAX) return wrong(out, 0, "more than 16 named groups");
    for (uint32_t group = 1; group <= captures; group++)
        for (uint32_t i = 0, seen = 0; i < count; i++) {
            const char *name = (const char *)table + i * size + 2;
            if (((uint32_t)table[i * size] << 8 | table[i * size + 1]) != group) continue;
            struct fgw_str s = fgw_str(memmem(pattern.p, pattern.n, name, strlen(name)), strlen(name));
            for (uint32_t k = 0; k < n; k++)
                if (fgw_str_eq(out->names[k], s)) seen = 1;
            if (!s.p || seen) return wrong(out, 0, "two groups have one name");
            out->names[n] = s, groups[n++] = (uint8_t)group;
        }
    out->nnames = n;
    return 0;
}

static pcre2_code *compile(struct fgw_str pattern, struct fgw_regex_info *out, uint8_t *groups)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    uint32_t type = 0, first = 0;
    *out = (struct fgw_regex_info){.first = -1};
    if (!pattern.n || pattern.n > FGW_REGEX_MAX) return wrong(out, 0, pattern.n ? "the pattern is too long" : "the pattern is empty"), NULL;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, OPTIONS, &error, &at, NULL);
    if (!code) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)out->error, sizeof out->error);
        out->offset = (uint32_t)(at < pattern.n ? at : pattern.n);
        return NULL;
    }
    if (read_names(code, pattern, out, groups) < 0) return pcre2_code_free(code), NULL;
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &first);
    if (type == 1) out->first = (int)first;
    return code;
}

/* In compiled code where the system lets it be made; elsewhere the interpreter runs, under the same limits. */
static void ready(struct fgw_regexes *s, pcre2_code *code)
{
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    s->v[s->ready++].code = code;
}

/* ---- sets of patterns ---- */

static struct fgw_regexes *set_new(uint32_t n)
{
    struct fgw_regexes *s = calloc(1, sizeof *s + n * sizeof *s->v);
    if (!s) return NULL;
    s->n = n;
    s->data = pcre2_match_data_create(FGW_REGEX_GROUPS_MAX + 1, NULL);
    s->context = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(STACK_BEGIN, STACK_MAX, NULL);        /* NULL, where no code can be made: then none is needed */
    if (!s->data || !s->context) return fgw_regexes_free(s), NULL;
    pcre2_set_match_limit(s->context, STEPS_MAX);
    pcre2_set_depth_limit(s->context, DEPTH_MAX);
    pcre2_set_heap_limit(s->context, HEAP_KIB);
    if (s->stack) pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return s;
}

struct fgw_regexes *fgw_regexes_new(const void *seg)
{
    const struct fgw_l_routes *r = fgw_l_body(seg);
    const struct fgw_l_regex *l = fgw_l_at(seg, r->regexes.off);
    struct fgw_regexes *s = set_new(r->regexes.count);
    for (uint32_t i = 0; s && i < s->n; i++) {
        const struct fgw_l_route *route = fgw_l_at(seg, l[i].route);
        s->v[i] = (struct one){.text = fgw_l_text(seg, l[i].text), .route = fgw_l_text(seg, route->name), .nparams = route->nparams};
    }
    return s;
}

struct fgw_regexes *fgw_regexes_of(struct fgw_str pattern, struct fgw_regex_info *out)
{
    struct fgw_regexes *s = set_new(1);
    *out = (struct fgw_regex_info){0};
    if (!s) return wrong(out, 0, "out of memory"), NULL;
    pcre2_code *code = compile(pattern, out, s->v[0].groups);
    if (!code) return fgw_regexes_free(s), NULL;
    s->v[0].nparams = (uint8_t)out->nnames;
    ready(s, code);
    return s;
}

void fgw_regexes_free(struct fgw_regexes *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < s->ready; i++) pcre2_code_free(s->v[i].code);
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

int fgw_regexes_compile(struct fgw_regexes *s, uint32_t most, char *err, size_t err_n)
{
    for (; most && s->ready < s->n; most--) {
        struct one *o = &s->v[s->ready];
        struct fgw_regex_info info;
        pcre2_code *code = compile(o->text, &info, o->groups);
        if (!code || info.nnames != o->nparams) {
            const char *why = code ? "its named groups are not its parameters" : info.error;
            snprintf(err, err_n, "route %.*s: its regex is refused: %s", (int)o->route.n, o->route.p, why);
            pcre2_code_free(code);
            return -1;
        }
        ready(s, code);
    }
    return (int)(s->n - s->ready);
}

/* ---- matching ---- */

static struct fgw_str group_at(const PCRE2_SIZE *ends, uint32_t taken, uint32_t group, struct fgw_str path)
{
    if (group >= taken || ends[2 * group] == PCRE2_UNSET || ends[2 * group] > ends[2 * group + 1]) return fgw_str(path.p, 0);
    return fgw_str(path.p + ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
}

bool fgw_regexes_match(struct fgw_regexes *s, uint32_t i, struct fgw_str path, struct fgw_str *params)
{
    if (i >= s->ready) return false;
    struct one *o = &s->v[i];
    int taken = pcre2_match(o->code, (PCRE2_SPTR)path.p, path.n, 0, 0, s->data, s->context);
    if (taken < 0) {
        if (taken != PCRE2_ERROR_NOMATCH) o->given_up++, s->given_up++;
        return false;
    }
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(s->data);
    for (uint32_t k = 0; k < o->nparams; k++) params[k] = group_at(ends, (uint32_t)taken, o->groups[k], path);
    return true;
}

bool fgw_regexes_given_up(struct fgw_regexes *s, struct fgw_regex_given_up *out)
{
    for (uint32_t i = 0; s->given_up && i < s->ready; i++) {
        struct one *o = &s->v[i];
        if (!o->given_up) continue;
        *out = (struct fgw_regex_given_up){i, o->given_up, !o->told};
        s->given_up -= o->given_up;
        o->given_up = 0, o->told = true;
        return true;
    }
    return false;
}
