#include "http/chars.h"

#define LOW(c)        ((c) | 0x20)
#define DIGIT(c)      ((c) >= '0' && (c) <= '9')
#define ALPHA(c)      (LOW(c) >= 'a' && LOW(c) <= 'z')
#define HEX(c)        (DIGIT(c) || (LOW(c) >= 'a' && LOW(c) <= 'f'))
#define UNRESERVED(c) (ALPHA(c) || DIGIT(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define SUB_DELIM(c)  ((c) == '!' || (c) == '$' || ((c) >= '&' && (c) <= ',') || (c) == ';' || (c) == '=')   /* & ' ( ) * + , */
#define TOKEN(c)      (UNRESERVED(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' || \
                       (c) == '^' || (c) == '`' || (c) == '|')
#define VALUE(c)      ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f))
#define TARGET(c)     ((c) > 0x20 && (c) < 0x7f && (c) != '#')

#define C1(c)                                                                                                      \
    ((TOKEN(c) ? FGW_C_TOKEN : 0) | (VALUE(c) ? FGW_C_VALUE : 0) | (TARGET(c) ? FGW_C_TARGET : 0) |                \
     (DIGIT(c) ? FGW_C_DIGIT : 0) | (HEX(c) ? FGW_C_HEX : 0) | (UNRESERVED(c) ? FGW_C_UNRESERVED : 0) |            \
     (UNRESERVED(c) || SUB_DELIM(c) ? FGW_C_REGNAME : 0) | (ALPHA(c) ? FGW_C_ALPHA : 0))
#define C4(c)  C1(c), C1((c) + 1), C1((c) + 2), C1((c) + 3)
#define C16(c) C4(c), C4((c) + 4), C4((c) + 8), C4((c) + 12)
#define C64(c) C16(c), C16((c) + 16), C16((c) + 32), C16((c) + 48)

const uint8_t fgw_chars[256] = {C64(0), C64(64), C64(128), C64(192)};
