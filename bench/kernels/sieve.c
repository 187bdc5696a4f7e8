/* Memory: strided byte stores. */
#include <stdio.h>
#include <string.h>
enum { N = 20000000 };
static unsigned char composite[N + 1];
int main(void) {
  unsigned total = 0;
  for (int round = 0; round < 5; round++) {
    memset(composite, 0, sizeof composite);
    for (unsigned i = 2; i * i <= N; i++)
      if (!composite[i])
        for (unsigned j = i * i; j <= N; j += i) composite[j] = 1;
    for (unsigned i = 2; i <= N; i++) total += !composite[i];
  }
  printf("%u\n", total);
}
