"""
>>> factorial(5)
120
>>> [factorial(n) for n in range(6)]
[1, 1, 2, 6, 24, 120]
>>> factorial(-1)
Traceback (most recent call last):
    ...
ValueError: n must be >= 0
"""

def factorial(n):
    import math
    if not n >= 0:
        raise ValueError('n must be >= 0')
    return math.prod(range(1, n + 1))
if __name__ == '__main__':
    import doctest
    print(doctest.testmod())
    doctest.testmod(verbose=True)
