import cmath, math, random, statistics, operator
print(math.isqrt(10**40), math.comb(50, 25), math.gcd(12, 18, 27), math.lcm(4, 6), math.perm(5, 2), math.factorial(30), math.prod([1.5, 2]), math.dist((0, 0), (3, 4)))
print([f"{f(0.7):.12g}" for f in (math.sin, math.cos, math.tan, math.asin, math.atan, math.sinh, math.tanh, math.exp, math.expm1, math.log1p, math.log2, math.erf, math.gamma, math.lgamma, math.cbrt)])
print(math.fsum([0.1] * 10), sum([0.1] * 3), math.nextafter(1, 2), math.ulp(1.0), math.remainder(7, 4), math.fmod(-7, 3), -7 % 3, -7 // 3, divmod(7.5, -2), math.modf(-2.5), math.frexp(10), math.copysign(0, -1))
print(math.inf - 1, math.nan != math.nan, math.isclose(0.1 + 0.2, 0.3), round(2.5), round(-3.5), round(1234.567, -2), int(-2.9), math.floor(-2.5), math.trunc(-2.5), 0.1.hex(), float.fromhex("0x1.8p3"), (0.1).as_integer_ratio())
for call in (lambda: math.sqrt(-1), lambda: math.log(0), lambda: 1 / 0, lambda: 10.0 ** 400, lambda: math.factorial(-1), lambda: int("x"), lambda: float("1,5"), lambda: 2.0 % 0, lambda: int("9" * 5000)):
    try:
        print(call())
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        print(type(error).__name__, error if isinstance(error, ValueError) else "")
print(cmath.sqrt(-1), abs(3 + 4j), [f"{x:.6f}" for x in cmath.polar(1j)], cmath.isclose(cmath.exp(1j * math.pi), -1, abs_tol=1e-12), complex("1-2j") ** 2)
print(bin(-5), hex(2**64), oct(8), int("0b101", 0), int("z", 36), (-5).bit_length(), (255).bit_count(), ~5, 5 ^ 3, -1 >> 1, 1 << 70, pow(3, -1, 7), pow(2, 1000, 10**9 + 7))
rng = random.Random(42)
print(rng.random(), rng.randint(1, 6), rng.choices("abc", [1, 2, 3], k=5), rng.sample(range(100), 4), rng.shuffle(x := list(range(6))) or x, rng.uniform(1, 2), rng.gauss(0, 1), round(rng.expovariate(2), 12), round(rng.betavariate(1, 2), 12), rng.triangular(), rng.getrandbits(70), rng.randbytes(4).hex())
state = rng.getstate(); a = rng.random(); rng.setstate(state)
print(a == rng.random(), random.Random("text").random(), random.Random(15).randrange(10**20))
big = 3 ** 5000
print(str(big % 10**30), (big * big) % 1000003, big // 7 ** 1700 % 10**12, isinstance(True, int), True + True)
