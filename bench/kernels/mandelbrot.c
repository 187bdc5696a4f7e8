/* Float arithmetic in registers with a data-dependent exit. */
#include <stdio.h>
int main(void) {
  unsigned long total = 0;
  for (int py = 0; py < 1200; py++)
    for (int px = 0; px < 1200; px++) {
      double cr = px * 3.0 / 1200 - 2.0, ci = py * 2.0 / 1200 - 1.0, r = 0, i = 0;
      int n = 0;
      for (; n < 200 && r * r + i * i < 4.0; n++) {
        double t = r * r - i * i + cr;
        i = 2 * r * i + ci;
        r = t;
      }
      total += n;
    }
  printf("%lu\n", total);
}
