/* Counts lines, words and bytes of every file in /in and writes a table to /out/counts.txt.
 *   clang --target=wasm32-wasi -O2 -o count.wasm count.c        (Debian: clang lld wasi-libc libclang-rt-14-dev-wasm32)
 *   xeno run count.wasm --in DIR --out results
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>

int main(void) {
  DIR *in = opendir("/in");
  FILE *out = fopen("/out/counts.txt", "w");
  if (in == NULL || out == NULL) {
    fprintf(stderr, "give a folder with --in\n");
    return 2;
  }
  for (struct dirent *entry; (entry = readdir(in)) != NULL;) {
    char path[512];
    snprintf(path, sizeof path, "/in/%s", entry->d_name);
    FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (file == NULL) continue;
    long lines = 0, words = 0, bytes = 0;
    for (int c, before = ' '; (c = fgetc(file)) != EOF; before = c) {
      bytes++;
      lines += c == '\n';
      words += isspace(before) && !isspace(c);
    }
    fclose(file);
    printf("%8ld %8ld %8ld %s\n", lines, words, bytes, entry->d_name);
    fprintf(out, "%ld\t%ld\t%ld\t%s\n", lines, words, bytes, entry->d_name);
  }
  return 0;
}
