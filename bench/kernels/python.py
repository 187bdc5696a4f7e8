"""What scripts do: integers, strings, dictionaries, calls, floats."""


def collatz(n):
    steps = 0
    while n != 1:
        n = 3 * n + 1 if n & 1 else n // 2
        steps += 1
    return steps


longest = max(range(1, 20_000), key=collatz)
words = {}
for i in range(100_000):
    words[f"w{i * 7919 % 5003}"] = words.get(f"w{i * 7919 % 5003}", 0) + 1
total = sum(1.0 / (i * i) for i in range(1, 300_000))
print(longest, len(words), sorted(words.values())[-1], f"{total:.9f}")
