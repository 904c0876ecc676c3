#include "http/grpc.h"
#include "base/check.h"

static const struct { const char *name, *number; } CODES[FGW_GRPC_CODES] = {
    {"OK", "0"}, {"CANCELLED", "1"}, {"UNKNOWN", "2"}, {"INVALID_ARGUMENT", "3"}, {"DEADLINE_EXCEEDED", "4"}, {"NOT_FOUND", "5"},
    {"ALREADY_EXISTS", "6"}, {"PERMISSION_DENIED", "7"}, {"RESOURCE_EXHAUSTED", "8"}, {"FAILED_PRECONDITION", "9"}, {"ABORTED", "10"},
    {"OUT_OF_RANGE", "11"}, {"UNIMPLEMENTED", "12"}, {"INTERNAL", "13"}, {"UNAVAILABLE", "14"}, {"DATA_LOSS", "15"}, {"UNAUTHENTICATED", "16"}};

const char *fgw_grpc_name(enum fgw_grpc_code c) { return c < FGW_GRPC_CODES ? CODES[c].name : NULL; }

static bool is_type(struct fgw_str v)
{
    static const struct fgw_str type = {"application/grpc", 16};
    if (v.n < type.n || !fgw_str_ieq(fgw_str(v.p, type.n), type)) return false;
    return v.n == type.n || v.p[type.n] == '+' || v.p[type.n] == ';' || v.p[type.n] == ' ' || v.p[type.n] == '\t';
}

bool fgw_grpc_call(const struct fgw_head *h)
{
    const struct fgw_field *f = h->method == FGW_M_POST ? fgw_head_find(h, FGW_H_CONTENT_TYPE) : NULL;
    return f && is_type(fgw_head_value(h, f));
}

/* ---- status ---- */
enum fgw_grpc_code fgw_grpc_of_status(int status)
{
    switch (status) {
    case 400: case 500: case 505: case 508: case 417: return FGW_GRPC_INTERNAL;
    case 401: return FGW_GRPC_UNAUTHENTICATED;
    case 403: return FGW_GRPC_PERMISSION_DENIED;
    case 404: case 405: case 501: return FGW_GRPC_UNIMPLEMENTED;         /* a method nobody has */
    case 408: case 504: return FGW_GRPC_DEADLINE_EXCEEDED;
    case 409: return FGW_GRPC_ABORTED;
    case 412: return FGW_GRPC_FAILED_PRECONDITION;
    case 413: case 414: case 429: case 431: return FGW_GRPC_RESOURCE_EXHAUSTED;
    case 499: return FGW_GRPC_CANCELLED;
    case 502: case 503: return FGW_GRPC_UNAVAILABLE;
    default: return FGW_GRPC_UNKNOWN;
    }
}

enum fgw_grpc_code fgw_grpc_of(enum fgw_err why, int status)
{
    switch (why) {
    case FGW_E_CONNECT_TIMEOUT: return FGW_GRPC_UNAVAILABLE;             /* nobody has seen the call: it is not its deadline that passed */
    case FGW_E_CANCELLED: case FGW_E_SEND_TIMEOUT: case FGW_E_SEND_TOO_SLOW: case FGW_E_TUNNEL_IDLE: return FGW_GRPC_CANCELLED;
    default: return status ? fgw_grpc_of_status(status) : FGW_GRPC_INTERNAL;
    }
}

enum fgw_grpc_code fgw_grpc_status(struct fgw_str v)
{
    uint32_t n = 0;
    if (v.n == 0 || v.n > 9) return FGW_GRPC_NONE;
    for (uint32_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') return FGW_GRPC_NONE;
        n = n * 10 + (uint32_t)(v.p[i] - '0');
    }
    return n < FGW_GRPC_CODES ? (enum fgw_grpc_code)n : FGW_GRPC_UNKNOWN;
}

/* ---- time-outs: the finest unit first ---- */
static const struct { char unit; uint64_t ns; } UNITS[] = {
    {'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000}};
enum { DIGITS = 8, VALUE_MAX = 99999999 };

bool fgw_grpc_timeout(struct fgw_str v, uint64_t *ns)
{
    uint64_t n = 0;
    if (v.n < 2 || v.n > DIGITS + 1) return false;
    for (uint32_t i = 0; i + 1 < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') return false;
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    for (size_t i = 0; i < FGW_COUNT(UNITS); i++)
        if (UNITS[i].unit == v.p[v.n - 1]) {
            if (__builtin_mul_overflow(n, UNITS[i].ns, ns)) *ns = UINT64_MAX;
            return true;
        }
    return false;
}

uint32_t fgw_grpc_timeout_write(uint64_t ns, char p[FGW_GRPC_TIMEOUT_MAX])
{
    size_t u = 0;
    while (u + 1 < FGW_COUNT(UNITS) && ns / UNITS[u].ns > VALUE_MAX) u++;
    uint64_t n = ns / UNITS[u].ns;
    char digits[DIGITS];
    uint32_t k = 0, len = 0;
    if (n == 0) n = 1;
    if (n > VALUE_MAX) n = VALUE_MAX;
    for (; n; n /= 10) digits[k++] = (char)('0' + n % 10);
    while (k) p[len++] = digits[--k];
    p[len++] = UNITS[u].unit;
    return len;
}

/* ---- what is told ---- */
uint32_t fgw_grpc_message(struct fgw_str s, char *p)
{
    static const char hex[] = "0123456789ABCDEF";
    char *begin = p;
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' ')) s.n--;
    if (s.n > FGW_GRPC_MESSAGE_MAX) {
        s.n = FGW_GRPC_MESSAGE_MAX;
        while (s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80) s.n--;   /* not within a character of UTF-8 */
    }
    for (uint32_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '%') *p++ = (char)c;
        else *p++ = '%', *p++ = hex[c >> 4], *p++ = hex[c & 15];
    }
    return (uint32_t)(p - begin);
}

static struct fgw_out_field field(enum fgw_field_id id, const char *name, uint16_t n, const char *value, uint32_t value_len)
{
    return (struct fgw_out_field){name, value, value_len, n, (uint8_t)id, 0};
}

uint32_t fgw_grpc_fields(enum fgw_grpc_code c, struct fgw_str message, struct fgw_out_field f[FGW_GRPC_FIELDS])
{
    const char *number = CODES[c < FGW_GRPC_CODES ? c : FGW_GRPC_UNKNOWN].number;
    f[0] = field(FGW_H_CONTENT_TYPE, "content-type", 12, "application/grpc", 16);
    f[1] = field(FGW_H_OTHER, "grpc-status", 11, number, (uint32_t)strlen(number));
    f[2] = field(FGW_H_OTHER, "grpc-message", 12, message.p, message.n);
    return message.n ? 3 : 2;
}
