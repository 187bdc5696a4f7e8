/* Five bodies under gravity: float arithmetic whose results go to memory at each step. */
#include <math.h>
#include <stdio.h>
enum { BODIES = 5, STEPS = 5000000 };
typedef struct {
  double x, y, z, vx, vy, vz, mass;
} body;
static body bodies[BODIES];
int main(void) {
  for (int i = 0; i < BODIES; i++) {
    body *b = &bodies[i];
    b->x = i * 4.0, b->y = i * -1.5, b->z = i * 0.3, b->vx = 0.1 * i, b->vy = 0.6 - 0.1 * i, b->vz = 0.01 * i, b->mass = i == 0 ? 39.0 : 0.01 * i;
  }
  for (int step = 0; step < STEPS; step++) {
    for (int i = 0; i < BODIES; i++) {
      body *p = &bodies[i];
      for (int j = i + 1; j < BODIES; j++) {
        body *q = &bodies[j];
        double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
        double d2 = dx * dx + dy * dy + dz * dz;
        double mag = 0.001 / (d2 * sqrt(d2));
        p->vx -= dx * q->mass * mag, p->vy -= dy * q->mass * mag, p->vz -= dz * q->mass * mag;
        q->vx += dx * p->mass * mag, q->vy += dy * p->mass * mag, q->vz += dz * p->mass * mag;
      }
    }
    for (int i = 0; i < BODIES; i++) {
      body *b = &bodies[i];
      b->x += 0.001 * b->vx, b->y += 0.001 * b->vy, b->z += 0.001 * b->vz;
    }
  }
  printf("%.9f %.9f\n", bodies[0].x, bodies[4].y);
}
