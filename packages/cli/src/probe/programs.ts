/** What probes run: programs as people write them, each with arguments drawn anew, so that no two probes are of one job. */

export type Chance = () => number;

/** An integer in [low, high]. */
export const between = (chance: Chance, low: number, high: number): number => low + Math.floor(chance() * (high - low + 1));

export function pick<T>(chance: Chance, from: readonly [T, ...T[]]): T {
  return from[Math.floor(chance() * from.length)] ?? from[0];
}

interface Program {
  text: string;
  args(chance: Chance): string[];
}

const PRIMES = `import sys

limit = int(sys.argv[1])
sieve = bytearray([1]) * (limit + 1)
for n in range(2, int(limit ** 0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(sieve[n * n :: n]))
primes = [n for n in range(2, limit + 1) if sieve[n]]
print(len(primes), sum(primes))
`;

const WALK = `import random
import sys

random.seed(sys.argv[1])
steps = int(sys.argv[2])
x = y = 0
for _ in range(steps):
    dx, dy = random.choice([(0, 1), (1, 0), (0, -1), (-1, 0)])
    x, y = x + dx, y + dy
print(x, y, (x * x + y * y) ** 0.5)
`;

const CHAIN = `import hashlib
import sys

value = sys.argv[1].encode()
for _ in range(int(sys.argv[2])):
    value = hashlib.sha256(value).digest()
print(value.hex())
`;

const MATRIX = `import sys

n, seed = int(sys.argv[1]), int(sys.argv[2])
a = [[(i * seed + j) % 97 for j in range(n)] for i in range(n)]
b = [[sum(x * y for x, y in zip(row, column)) for column in zip(*a)] for row in a]
print(sum(map(sum, b)))
`;

const word = (chance: Chance): string => between(chance, 0, 2 ** 40).toString(36);

const PROGRAMS: readonly [Program, ...Program[]] = [
  { text: PRIMES, args: (chance) => [`${between(chance, 20_000, 900_000)}`] },
  { text: WALK, args: (chance) => [word(chance), `${between(chance, 5_000, 200_000)}`] },
  { text: CHAIN, args: (chance) => [word(chance), `${between(chance, 5_000, 200_000)}`] },
  { text: MATRIX, args: (chance) => [`${between(chance, 20, 120)}`, `${between(chance, 1, 10_000)}`] },
];
const NAMES = ["main.py", "job.py", "run.py", "script.py", "task.py"] as const;

/** A file and what it is given. */
export function drawProgram(chance: Chance): { name: string; text: string; args: string[] } {
  const { text, args } = pick(chance, PROGRAMS);
  return { name: pick(chance, NAMES), text, args: args(chance) };
}
