/* Dynamic programming over bytes: three-way minimum in a tight loop. */
#include <stdio.h>
enum { N = 12000 };
static unsigned char a[N], b[N];
static unsigned row[N + 1];
int main(void) {
  unsigned seed = 7;
  for (int i = 0; i < N; i++) a[i] = (seed = seed * 1103515245 + 12345) >> 28, b[i] = (seed = seed * 1103515245 + 12345) >> 28;
  for (int j = 0; j <= N; j++) row[j] = j;
  for (int i = 1; i <= N; i++) {
    unsigned diagonal = row[0]++;
    for (int j = 1; j <= N; j++) {
      unsigned best = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  printf("%u\n", row[N]);
}
