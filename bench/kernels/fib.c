/* Recursion: calls and returns, nothing else. */
#include <stdio.h>
__attribute__((noinline)) static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
int main(void) {
  volatile unsigned n = 40;
  printf("%u\n", fib(n));
}
