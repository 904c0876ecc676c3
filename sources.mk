# sources.mk: what the C engine is made of and how it is compiled. Read by Makefile and by setup.py, which
# understands `NAME := words` with no make functions but the $(NAME) of a line above.

# The layers, lowest first. A file may include its own folder and those before it (tests/house checks includes,
# and each layer's unit tests are linked with these layers only). Every *.c of a folder belongs to its layer.
FGW_LAYERS := base io http policy upstream core testing

FGW_STD    := -std=gnu11 -D_GNU_SOURCE -Isrc_c -fPIC -pthread
FGW_WARN   := -Wall -Wextra -Wshadow=local -Wvla -Wstrict-prototypes -Wmissing-prototypes
FGW_WARN_CLANG := -Wall -Wextra -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wno-gnu

# The release build. The library exports fgw_* alone and binds its own calls to itself.
FGW_OPT    := -O3 -g -fno-plt -fno-semantic-interposition -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
FGW_LTO    := -flto=auto
FGW_LINK   := -shared -pthread -Wl,-soname,_libfgw.so -Wl,--version-script=src_c/exports.map -Wl,-Bsymbolic-functions -Wl,-z,relro,-z,now,-z,defs -Wl,--as-needed

# Builds for tests.
FGW_ASAN   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DFGW_DEBUG
FGW_TSAN   := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DFGW_DEBUG
FGW_FUZZ   := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFGW_DEBUG

# Libraries: what a source includes = the pkg-config name it then needs (scripts/libs).
FGW_PKGS   := openssl/=openssl nghttp2/=libnghttp2 zlib.h=zlib pcre2.h=libpcre2-8 xxhash.h=libxxhash
