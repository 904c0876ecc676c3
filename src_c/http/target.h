/* http/target.h: request targets, normalised once (RFC 9112 section 3.2, RFC 3986 section 6.2.2).
 *
 * What is matched, authorised and logged is `path`; what is forwarded is made from the same bytes.
 * Policy   (docs/reference/targets.md)
 *   %XX of an unreserved byte is decoded, other %XX keep their form with upper-case digits; bad % (not two hex digits): BAD_TARGET.
 *   %00 and other encoded controls (< 0x20, 0x7f): BAD_TARGET.
 *   Encoded slash %2F, encoded backslash %5C and raw backslash: by `slashes`: REJECT (default: BAD_TARGET), KEEP (stays encoded,
 *   never equals a separator; a raw backslash becomes %5C), DECODE (becomes '/', then dot segments are resolved).
 *   "." and ".." segments, after decoding (%2e is a dot), are removed; ".." above the root: BAD_TARGET.
 *   Double slashes: `merge_slashes` (default true) folds "//" to "/".
 *   Query: not decoded; controls and '#' cannot occur (head.h); bad % in it is left as it is.
 * Forms    origin "/p?q"; absolute "http://host/p?q" (scheme http/https in any case; userinfo: BAD_TARGET; its authority replaces Host,
 *          a different Host field is ignored as RFC 9112 3.2.2 says); asterisk "*" with OPTIONS only; authority "host:port" with CONNECT only.
 *          OPTIONS with an absolute form that has neither path nor query means "*" (section 3.2.4): path is "*", form stays absolute.
 * Failures BAD_TARGET; BAD_HOST for a malformed authority of the absolute form; NO_MEMORY when out is too small. The views are empty then.
 * Memory   writes into the caller's buffer of at least n + 1 bytes; the result never is longer than the input plus one ('/' for an empty absolute path)
 *          except that KEEP may triple raw backslashes: give 3 * n + 1 then. When the path already is in normal form nothing is copied (views into the input).
 * Thread any; cost one pass. */
#ifndef FGW_HTTP_TARGET_H
#define FGW_HTTP_TARGET_H
#include "base/err.h"
#include "base/str.h"
#include "http/head.h"

enum fgw_slashes { FGW_SLASHES_REJECT, FGW_SLASHES_KEEP, FGW_SLASHES_DECODE };
enum fgw_form { FGW_FORM_ORIGIN, FGW_FORM_ABSOLUTE, FGW_FORM_AUTHORITY, FGW_FORM_ASTERISK };
struct fgw_target_policy { uint8_t slashes; bool merge_slashes; };

struct fgw_target {
    struct fgw_str path;        /* normalised, begins with '/'; "*" for the asterisk form; empty for authority */
    struct fgw_str query;       /* without '?' */
    struct fgw_str authority;   /* of the absolute or authority form, else empty */
    uint8_t form;               /* enum fgw_form */
    bool has_query;             /* '?' was there, perhaps with nothing behind it */
    bool https;                 /* absolute form said https */
};
enum fgw_err fgw_target_parse(struct fgw_str raw, enum fgw_method m, const struct fgw_target_policy *pol,
                              char *out, uint32_t out_size, struct fgw_target *t);

/* Check "host[:port]" (reg-name without percent-encoding, IPv4 or [IPv6] without a zone; no userinfo): host gets the
 * name without port and brackets kept, as received; port 0 when none ("h:" has none; "h:0" is malformed).
 * false: malformed (BAD_HOST). An empty authority is allowed only if `may_be_empty`. */
bool fgw_authority_split(struct fgw_str a, struct fgw_str *host, uint16_t *port, bool may_be_empty);
/* Lower-case copy without a trailing dot into out (n bytes): what host matching uses. Returns its length. */
uint32_t fgw_host_fold(struct fgw_str host, char *out);
/* The value of a query parameter, percent-decoded and '+' as space, into out; false: absent or longer than size. First one wins. */
bool fgw_query_get(struct fgw_str query, struct fgw_str name, char *out, uint32_t size, struct fgw_str *value);

#endif
