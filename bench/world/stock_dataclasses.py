"""A stock of parts as typed records, sorted, grouped and changed."""
import enum
import functools
import itertools
from dataclasses import asdict, dataclass, field, replace


class Kind(enum.Enum):
    BOLT = "bolt"
    NUT = "nut"
    WASHER = "washer"


@dataclass(frozen=True, order=True, slots=True)
class Part:
    kind: str
    size: int
    price: float = field(compare=False)
    tags: tuple[str, ...] = ()


kinds = list(Kind)
parts = [Part(kinds[i % 3].value, i * 17 % 40, i % 90 / 10, (f"t{i % 4}",)) for i in range(25_000)]
total = functools.reduce(lambda sum_, part: sum_ + part.price, parts, 0.0)
groups = {kind: list(group) for kind, group in itertools.groupby(sorted(parts), key=lambda part: part.kind)}
dearer = [replace(part, price=round(part.price * 1.19, 2)) for part in parts[:8_000]]
print({kind: len(group) for kind, group in groups.items()}, f"{total:.1f}", asdict(dearer[17]), len(set(parts)), hash(Kind.BOLT) == hash(Kind("bolt")))
