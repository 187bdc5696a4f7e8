/* Backtracking by bit masks: recursion with a loop in each frame. */
#include <stdio.h>
static unsigned long solve(unsigned all, unsigned columns, unsigned left, unsigned right) {
  if (columns == all) return 1;
  unsigned long found = 0;
  for (unsigned free = all & ~(columns | left | right); free != 0;) {
    unsigned bit = free & -free;
    free -= bit;
    found += solve(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return found;
}
int main(void) { printf("%lu\n", solve((1u << 13) - 1, 0, 0, 0)); }
