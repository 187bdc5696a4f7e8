/* What f2c makes of Fortran has the names and references of its callers; its own library writes nothing here. */
#include <stdio.h>
int sums_(int *n, double *a, double *s);
int colltz_(int *k);
int pow_ii(int *base, int *power) {
  int value = 1;
  for (int i = 0; i < *power; i++) value *= *base;
  return value;
}
int main(int argc, char **argv) {
  int n = 12, k = 27;
  double a[144], s[12];
  sums_(&n, a, s);
  for (int i = 0; i < n; i++) printf("%.15g\n", s[i]);
  printf("%d %d\n", colltz_(&k), argc);
  return argc;
}
