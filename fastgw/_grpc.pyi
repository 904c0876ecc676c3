from fastgw._shm import Shm

CODES: tuple[str, ...]

def totals(shm: Shm, slot: int) -> dict[str, int]: ...
