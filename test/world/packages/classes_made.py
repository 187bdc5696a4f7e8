# Debian: python3-attr
import attr
from attrs import define, field, asdict
@define(order=True)
class P:
    x: int = field(validator=attr.validators.instance_of(int)); y: list = field(factory=list)
print(P(1), asdict(P(2,[3])), P(1)<P(2))
try: P("a")
except TypeError as e: print(e.args[0])
