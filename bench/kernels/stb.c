/* A real library from Debian's sources (libstb-dev): PNG written and read back, inflate and deflate, filters, CRC. */
#include <stdio.h>
#include <stdlib.h>
#define STBI_NO_THREAD_LOCALS
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
enum { W = 900, H = 700 };
int main(void) {
  unsigned char *pixels = malloc(W * H * 3);
  unsigned seed = 3, sum = 0;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < W * H * 3; i++) pixels[i] = (seed = seed * 1664525 + 1013904223) >> 30 | (i / 900 & 0xf0);
    int size, w, h, n;
    unsigned char *png = stbi_write_png_to_mem(pixels, W * 3, W, H, 3, &size);
    unsigned char *back = stbi_load_from_memory(png, size, &w, &h, &n, 3);
    for (int i = 0; i < W * H * 3; i += 7) sum += back[i];
    sum += size;
    free(png), free(back);
  }
  printf("%u\n", sum);
}
