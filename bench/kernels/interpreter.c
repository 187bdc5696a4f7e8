/* A bytecode machine: one big switch in a loop, like most interpreters. */
#include <stdio.h>
enum { PUSH, ADD, SUB, MUL, DUP, SWAP, JNZ, LOAD, STORE, LESS, HALT };
static int run(const int *code) {
  int stack[64], memory[8] = {0}, *sp = stack, pc = 0;
  for (;;)
    switch (code[pc++]) {
      case PUSH: *sp++ = code[pc++]; break;
      case ADD: sp--, sp[-1] += sp[0]; break;
      case SUB: sp--, sp[-1] -= sp[0]; break;
      case MUL: sp--, sp[-1] *= sp[0]; break;
      case DUP: sp[0] = sp[-1], sp++; break;
      case SWAP: { int t = sp[-1]; sp[-1] = sp[-2], sp[-2] = t; break; }
      case JNZ: if (*--sp) pc = code[pc]; else pc++; break;
      case LOAD: *sp++ = memory[code[pc++]]; break;
      case STORE: memory[code[pc++]] = *--sp; break;
      case LESS: sp--, sp[-1] = sp[-1] < sp[0]; break;
      case HALT: return memory[1];
    }
}
int main(void) {
  const int code[] = {PUSH, 0, STORE, 0, LOAD, 1, LOAD, 0, DUP, MUL, ADD, PUSH, 7, SUB, STORE, 1, LOAD, 0, PUSH, 1, ADD, DUP, STORE, 0, PUSH, 30000000, LESS, JNZ, 4, HALT};
  printf("%d\n", run(code));
}
