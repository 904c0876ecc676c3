/* policy/hook_edit.h: edits of fields and tags whose words come from outside: looked at, and copied into the arena.
 *
 * Holds    what is put can be sent: a name is a token, a value is HTAB SP VCHAR obs-text (RFC 9110 section 5), trimmed. Fields that say where a
 *          message ends or that belong to one connection are the codec's own: they are refused (http/message.h).
 * Memory   the request's arena. A list that is to be thrown away if a hook fails is a copy (fgw_fields_copy). Thread one. */
#ifndef FGW_POLICY_HOOK_EDIT_H
#define FGW_POLICY_HOOK_EDIT_H
#include "policy/req.h"

enum fgw_put { FGW_PUT_OK, FGW_PUT_BAD_NAME, FGW_PUT_BAD_VALUE, FGW_PUT_OWNED, FGW_PUT_TOO_MANY, FGW_PUT_NO_ROOM };

enum fgw_put fgw_fields_put(struct fgw_arena *a, struct fgw_fields *f, struct fgw_str name, struct fgw_str value, bool instead);   /* of all of that name */
enum fgw_put fgw_tag_put(struct fgw_arena *a, struct fgw_fields *tags, struct fgw_str name, struct fgw_str value);
bool     fgw_fields_copy(struct fgw_arena *a, struct fgw_fields *to, const struct fgw_fields *from);
/* The first field at `from` or behind it that is not dropped and has this name (an empty one: any); f->n: none. */
uint32_t fgw_fields_next(const struct fgw_fields *f, uint32_t from, struct fgw_str name);
void     fgw_fields_remove(struct fgw_fields *f, struct fgw_str name);

#endif
