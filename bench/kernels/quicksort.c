/* Compare, swap, recurse: branches that cannot be predicted. */
#include <stdio.h>
enum { N = 5000000 };
static int values[N];
static void sort(int *v, int n) {
  while (n > 16) {
    int pivot = v[n / 2], i = -1, j = n;
    for (;;) {
      do i++; while (v[i] < pivot);
      do j--; while (v[j] > pivot);
      if (i >= j) break;
      int t = v[i];
      v[i] = v[j], v[j] = t;
    }
    sort(v, j + 1);
    v += j + 1, n -= j + 1;
  }
  for (int i = 1; i < n; i++) {
    int t = v[i], j = i;
    for (; j > 0 && v[j - 1] > t; j--) v[j] = v[j - 1];
    v[j] = t;
  }
}
int main(void) {
  unsigned seed = 1, sum = 0;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < N; i++) values[i] = (int)((seed = seed * 1664525 + 1013904223) >> 1);
    sort(values, N);
    for (int i = 1; i < N; i++) sum += values[i - 1] <= values[i];
  }
  printf("%u %d\n", sum, values[N / 2]);
}
