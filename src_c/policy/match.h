/* policy/match.h: the header and query conditions of a route's candidate.
 *
 * A header condition holds when some field of that name has exactly that value (names in any case, values byte for byte);
 * a query condition when the first parameter of that name has it, after decoding. All conditions of a candidate must hold.
 * Thread any; allocates nothing. Cost: a look at the fields (or the query) per condition; nothing when there is none. */
#ifndef FGW_POLICY_MATCH_H
#define FGW_POLICY_MATCH_H
#include "policy/route.h"

/* `seg`: the checked segment that c lies in. */
bool fgw_match_method(const void *seg, const struct fgw_l_cand *c, const struct fgw_route_in *in);
bool fgw_match_conds(const void *seg, const struct fgw_l_cand *c, const struct fgw_route_in *in);

#endif
