#include "policy/hook_edit.h"
#include "http/chars.h"
#include "policy/hook.h"

static bool all(struct fgw_str s, unsigned classes)
{
    for (uint32_t i = 0; i < s.n; i++)
        if (!fgw_char_is(s.p[i], classes)) return false;
    return true;
}

static bool owned(enum fgw_field_id id)
{
    return id && ((fgw_field_hop_bits() | FGW_H_BIT(HOST) | FGW_H_BIT(CONTENT_LENGTH)) >> id & 1);
}

bool fgw_fields_copy(struct fgw_arena *a, struct fgw_fields *to, const struct fgw_fields *from)
{
    *to = (struct fgw_fields){0};
    if (!fgw_fields_reserve(a, to, from->n + 4)) return false;
    for (uint32_t i = 0; i < from->n; i++)
        if (!(from->v[i].flags & FGW_FIELD_DROP)) to->v[to->n++] = from->v[i];
    return true;
}

uint32_t fgw_fields_next(const struct fgw_fields *f, uint32_t from, struct fgw_str name)
{
    enum fgw_field_id id = fgw_field_id(name.p, name.n);
    for (uint32_t i = from; i < f->n; i++) {
        const struct fgw_out_field *x = &f->v[i];
        if (x->flags & FGW_FIELD_DROP) continue;
        if (!name.n || (x->id == id && (id != FGW_H_OTHER || fgw_str_ieq(fgw_str(x->name, x->name_len), name)))) return i;
    }
    return f->n;
}

void fgw_fields_remove(struct fgw_fields *f, struct fgw_str name)
{
    if (name.n) fgw_fields_drop(f, fgw_field_id(name.p, name.n), name);
}

static enum fgw_put put(struct fgw_arena *a, struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name, struct fgw_str value)
{
    char *p = fgw_arena_alloc(a, (size_t)name.n + value.n);
    if (!p) return FGW_PUT_NO_ROOM;
    memcpy(p, name.p, name.n);
    if (value.n) memcpy(p + name.n, value.p, value.n);
    return fgw_fields_add(a, f, id, fgw_str(p, name.n), fgw_str(p + name.n, value.n)) ? FGW_PUT_OK : FGW_PUT_NO_ROOM;
}

enum fgw_put fgw_fields_put(struct fgw_arena *a, struct fgw_fields *f, struct fgw_str name, struct fgw_str value, bool instead)
{
    value = fgw_str_trim(value);
    if (!name.n || name.n > UINT16_MAX || !all(name, FGW_C_TOKEN)) return FGW_PUT_BAD_NAME;
    if (!all(value, FGW_C_VALUE)) return FGW_PUT_BAD_VALUE;
    enum fgw_field_id id = fgw_field_id(name.p, name.n);
    if (owned(id)) return FGW_PUT_OWNED;
    if (f->n >= 2 * FGW_FIELDS_MAX) return FGW_PUT_TOO_MANY;
    if (instead) fgw_fields_drop(f, id, name);
    return put(a, f, id, name, value);
}

enum fgw_put fgw_tag_put(struct fgw_arena *a, struct fgw_fields *tags, struct fgw_str name, struct fgw_str value)
{
    if (!name.n || name.n > FGW_TAG_NAME_MAX) return FGW_PUT_BAD_NAME;
    if (value.n > FGW_TAG_VALUE_MAX) return FGW_PUT_BAD_VALUE;
    struct fgw_out_field *old = fgw_fields_find(tags, FGW_H_OTHER, name);
    if (old) {
        struct fgw_str v = fgw_arena_dup(a, value);
        if (!v.p) return FGW_PUT_NO_ROOM;
        old->value = v.p, old->value_len = v.n;
        return FGW_PUT_OK;
    }
    if (tags->n >= FGW_TAGS_MAX) return FGW_PUT_TOO_MANY;
    return put(a, tags, FGW_H_OTHER, name, value);
}
