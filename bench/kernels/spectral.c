/* Power iteration on a matrix given by a formula: float division and small calls. */
#include <math.h>
#include <stdio.h>
enum { N = 2000 };
static double u[N], v[N], t[N];
static double at(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }
static void times(const double *in, double *out) {
  for (int i = 0; i < N; i++) {
    double sum = 0;
    for (int j = 0; j < N; j++) sum += at(i, j) * in[j];
    t[i] = sum;
  }
  for (int i = 0; i < N; i++) {
    double sum = 0;
    for (int j = 0; j < N; j++) sum += at(j, i) * t[j];
    out[i] = sum;
  }
}
int main(void) {
  for (int i = 0; i < N; i++) u[i] = 1;
  for (int i = 0; i < 10; i++) times(u, v), times(v, u);
  double vbv = 0, vv = 0;
  for (int i = 0; i < N; i++) vbv += u[i] * v[i], vv += v[i] * v[i];
  printf("%.9f\n", sqrt(vbv / vv));
}
