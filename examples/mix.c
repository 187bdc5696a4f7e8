/* A long job: mixes a megabyte three hundred million times and prints what came of it. Built with clang --target=wasm32-wasi -O2 -s. */
#include <stdio.h>
enum { WORDS = 1 << 18, ROUNDS = 300000000 };
static unsigned words[WORDS];
int main(void) {
  unsigned x = 1;
  for (unsigned i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    words[x % WORDS] += words[i % WORDS] ^ x;
  }
  unsigned sum = 0;
  for (unsigned i = 0; i < WORDS; i++) sum = sum * 31 + words[i];
  printf("%08x\n", sum);
}
