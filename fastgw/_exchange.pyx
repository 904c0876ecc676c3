# cython: language_level=3
"""The states of an exchange as the engine's own tables have them, for the reference. The engine does not come here."""
cimport fastgw._c.exchange as c


def _bits(unsigned mask) -> list[int]:
    return [i for i in range(32) if mask >> i & 1]


cdef list table(list rows):
    """[(name, numbers of what may follow)] -> [(name, names of what may follow)], in the order of the states."""
    return [(name, tuple([rows[i][0] for i in following])) for name, following in rows]


def request() -> list[tuple[str, tuple[str, ...]]]:
    """The request direction: each state and what may follow it."""
    return table([(c.fgw_rq_name(s).decode(), _bits(c.fgw_rq_next(s))) for s in range(c.FGW_RQ_DONE + 1)])


def reply() -> list[tuple[str, tuple[str, ...]]]:
    """The reply direction."""
    return table([(c.fgw_rp_name(s).decode(), _bits(c.fgw_rp_next(s))) for s in range(c.FGW_RP_DONE + 1)])


def attempt() -> list[tuple[str, tuple[str, ...]]]:
    """A try: one attempt at one endpoint."""
    return table([(c.fgw_try_state_name(s).decode(), _bits(c.fgw_try_next(s))) for s in range(c.FGW_TRY_WON + 1)])
