extern(C) nothrow @nogc {
  int printf(const char*, ...);
  int strcmp(const char*, const char*);
  char* strncpy(char*, const char*, size_t);
  void* fopen(const char*, const char*);
  int fprintf(void*, const char*, ...);
  int fclose(void*);
}
struct Count { char[32] word = 0; int n; }
T most(T)(T a, T b) { return a > b ? a : b; }
int square(int n) { return n * n; }
mixin(q{ enum name = "mixed in"; });
extern(C) void __assert(const char* what, const char* file, int line) nothrow @nogc { printf("%s:%d %s\n", file, line, what); *cast(int*) -1 = 0; assert(0); }
extern(C) int main(int argc, char** argv) {
  Count[16] seen;
  int used;
  foreach (i; 1 .. argc) {
    int at = 0;
    while (at < used && strcmp(seen[at].word.ptr, argv[i])) at++;
    if (at == used) strncpy(seen[used++].word.ptr, argv[i], 31);
    seen[at].n++;
  }
  int top = 0;
  foreach (ref c; seen[0 .. used]) { printf("%s %d\n", c.word.ptr, c.n); top = most(top, c.n); }
  enum int[4] table = [square(1), square(2), square(3), square(9)];
  printf("%d %.17g %s\n", table[3], 1.0 / 3, name.ptr);
  auto f = fopen("left.txt", "w");
  fprintf(f, "%d\n", top);
  fclose(f);
  int past = argc > 3 ? used : 99;
  if (argc > 4) printf("%d\n", seen[past * 40].n);
  return used;
}
