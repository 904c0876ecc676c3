"""Steps that bound traffic: how often, and how many at once."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .model_types import GIB, KIB, MIB, SECOND, Cost, Frequency, LimitKey, LimitName, count, duration, option
from .model_types import size as bytes_of

KEYS_MAX = 8


class LimitTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The memory in which a limit keeps its buckets, shared by all workers."""

    size: Annotated[
        int,
        bytes_of(
            "Memory for buckets, used as keys come: some 40 bytes for each key that is not at rest. Keys that find no "
            "room share a bucket. Another size forgets all buckets.",
            ge=4 * KIB,
            le=4 * GIB,
        ),
    ] = 4 * MIB


class RateLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limit how often one caller may use a route: a token bucket for each key, exact over all workers; then 429."""

    rate: Annotated[Frequency, option("Steady rate for each key: `100/s`, `5000/m`, `10/h`.")]
    burst: Annotated[
        Annotated[int, count("", le=10_000_000)] | None,
        option("Requests that a rested caller may make at once. Unset: the number in `rate`."),
    ] = None
    by: Annotated[
        tuple[LimitKey, ...],
        Meta(max_length=KEYS_MAX),
        option(
            "Whom a request counts for: `client_ip` (IPv6: its /64), `header:NAME`, `query:NAME`, `cookie:NAME`, "
            "`path:NAME`, `route`, or several of them together. Empty: all requests share one bucket. A value that is "
            "absent, empty or given twice counts as absent, and all such requests share one bucket.",
            single=True,
        ),
    ] = ("client_ip",)
    name: Annotated[
        LimitName | None,
        option(
            "Limits of one name share their buckets, on whatever routes they are. Unset: this step's own, named "
            "`ROUTE#NUMBER`."
        ),
    ] = None
    cost: Annotated[
        Annotated[int, count("", le=1_000_000)] | Cost,
        option(
            "What one request costs, or `header:NAME`, a request field that says so, from 1 (if absent) to `burst`."
        ),
    ] = 1
    dry_run: Annotated[bool, option("Count and log what would be refused, but refuse nothing.")] = False
    fields: Annotated[
        Literal["always", "refused", "never"],
        option("When `RateLimit` and `RateLimit-Policy` are sent; `Retry-After` comes with every refusal."),
    ] = "always"
    table: Annotated[LimitTable, option("Memory for the buckets.")] = LimitTable()


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that wait for a place instead of being refused, first come first served within a worker."""

    size: Annotated[
        int, count("Most requests of one key that wait in one worker; beyond it 429.", ge=0, le=16_384)
    ] = 0
    timeout: Annotated[int, duration("A request waits this long; then 429.")] = 1 * SECOND


class Concurrency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limit how many requests are in flight at once, over all workers. Tunnels count as long as they are open."""

    max: Annotated[int, count("Most requests of one key at once; beyond it they wait, or 429.", le=1_000_000)]
    by: Annotated[
        tuple[LimitKey, ...],
        Meta(max_length=KEYS_MAX),
        option("Whom a request counts for, as in `rate_limit`. Empty: all requests together.", single=True),
    ] = ()
    name: Annotated[
        LimitName | None, option("Limits of one name count together. Unset: this step's own, named `ROUTE#NUMBER`.")
    ] = None
    queue: Annotated[Queue, option("Requests that may wait for a place.")] = Queue()
    dry_run: Annotated[bool, option("Count and log what would be refused, but refuse nothing.")] = False
