/* Permutations in small arrays: integer indexing and short loops. */
#include <stdio.h>
#include <string.h>
enum { N = 10 };
int main(void) {
  int p[N], q[N], count[N], flips, maximum = 0, r = N;
  long checksum = 0, index = 0;
  for (int i = 0; i < N; i++) p[i] = i;
  for (;;) {
    for (; r != 1; r--) count[r - 1] = r;
    memcpy(q, p, sizeof p);
    for (flips = 0; q[0] != 0; flips++)
      for (int i = 0, j = q[0]; i < j; i++, j--) {
        int t = q[i];
        q[i] = q[j], q[j] = t;
      }
    if (flips > maximum) maximum = flips;
    checksum += index++ % 2 == 0 ? flips : -flips;
    for (;;) {
      if (r == N) {
        printf("%ld %d\n", checksum, maximum);
        return 0;
      }
      int first = p[0];
      for (int i = 0; i < r; i++) p[i] = p[i + 1];
      p[r] = first;
      if (--count[r] > 0) break;
      r++;
    }
  }
}
