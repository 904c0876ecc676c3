from fastgw._shm import Shm

COUNTERS: tuple[str, ...]

def totals(shm: Shm, slot: int) -> dict[str, int]: ...
