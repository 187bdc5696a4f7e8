import decimal, fractions, numbers
from decimal import Decimal, ROUND_HALF_EVEN, getcontext, localcontext, InvalidOperation
getcontext().prec = 28
rows = [("rent", "-1200.005"), ("pay", "3100.10"), ("food", "-84.335"), ("tax", "-0.1")]
cents = Decimal("0.01")
for name, text in rows:
    print(f"{name:<6}{Decimal(text).quantize(cents, rounding=ROUND_HALF_EVEN):>12,}")
print(sum(Decimal(text) for _, text in rows), Decimal(1) / 7, Decimal("1e400") * 10, Decimal("-0").is_signed())
with localcontext() as ctx:
    ctx.prec = 5
    print(Decimal(2).sqrt(), Decimal(10).ln(), Decimal("1.5").exp(), +Decimal("123456.789"))
try:
    Decimal("12,5")
except InvalidOperation as error:
    print(type(error).__name__, error)
print(Decimal("3.14").as_integer_ratio(), fractions.Fraction("0.125") + fractions.Fraction(1, 3), fractions.Fraction(3.3).limit_denominator(100))
print(isinstance(Decimal(1), numbers.Number), round(Decimal("2.675"), 2), format(Decimal("1234567.891"), ",.1f"), f"{0.1 + 0.2!r} {1e16} {1e22:.3g} {2**-1074}")
