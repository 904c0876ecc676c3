/* policy/regex.h: the patterns of a ROUTES segment, compiled (PCRE2, with its JIT where the system lets it make code).
 *
 *   segment (immutable) ──regexes: text of each──► fgw_regexes: code of each, one place to match in
 *
 * A pattern is matched against the whole normalised path, byte by byte: no UTF, both ends fixed, no callouts. Its named groups are the
 * route's parameters, in the order of their numbers; a group that took no part is empty.
 * Owner    the worker that mapped the segment, which is why a place to match in needs no lock. Code is never in a segment.
 * Memory   malloc, when it is made and compiled. A match takes none from the heap when the JIT made its code; else at most HEAP_KIB.
 * Holds    a match ends: a pattern that needs more steps, depth or room than the limits below does not match and is counted.
 * Cost     as the pattern is; at the limits some 0.2 ms in compiled code, some 1 ms in the interpreter. */
#ifndef FGW_POLICY_REGEX_H
#define FGW_POLICY_REGEX_H
#include "policy/layout.h"

enum { FGW_REGEX_GROUPS_MAX = 64 };      /* groups of a pattern, named or not */
enum { FGW_REGEX_ERROR = 160 };          /* room for what is wrong with a pattern */

struct fgw_regexes;

/* Room for the patterns of a checked ROUTES segment, none of them compiled. NULL: out of memory. */
struct fgw_regexes *fgw_regexes_new(const void *seg);
void fgw_regexes_free(struct fgw_regexes *s);                /* NULL: nothing happens */
/* Compile up to `most` further ones. Returns how many are left; -1: one cannot be, and err says which and why. */
int fgw_regexes_compile(struct fgw_regexes *s, uint32_t most, char *err, size_t err_n);
/* Does pattern i take this path? Then its parameters are views into the path. Not compiled yet: no. */
bool fgw_regexes_match(struct fgw_regexes *s, uint32_t i, struct fgw_str path, struct fgw_str *params);

/* Matches given up at a limit since the last call of this function; 0: none, and then nothing was looked through. */
struct fgw_regex_given_up { uint32_t regex, times; bool first; };        /* first: of this pattern in this set's life */
bool fgw_regexes_given_up(struct fgw_regexes *s, struct fgw_regex_given_up *out);     /* one pattern a call; false: no more */

/* One pattern alone, as a set of one: for who checks or explains a configuration. NULL: it is none, or no memory; then `error` says why
 * and `offset` where, in bytes. */
struct fgw_regex_info {
    char error[FGW_REGEX_ERROR];
    uint32_t offset, nnames;
    int first;                                               /* the byte that all it matches begin with; -1: there is no such */
    struct fgw_str names[FGW_PARAMS_MAX];                    /* of its groups, by number; views into the pattern */
};
struct fgw_regexes *fgw_regexes_of(struct fgw_str pattern, struct fgw_regex_info *out);

#endif
