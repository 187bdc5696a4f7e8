/* Calls of wasi-libc that Python does not make: readdir cookies, rights, seeks past the end, renames over directories, hard links. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failures = 0;
#define CHECK(condition)                                                 \
  do {                                                                   \
    if (!(condition)) {                                                  \
      printf("line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
      failures++;                                                        \
    }                                                                    \
  } while (0)

int main(int argc, char **argv) {
  CHECK(argc == 3 && strcmp(argv[2], "two") == 0);
  char name[32];
  CHECK(mkdir("/out/many", 0777) == 0);
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "/out/many/%03d", i);
    int fd = open(name, O_CREAT | O_WRONLY | O_EXCL, 0666);
    CHECK(fd >= 0);
    CHECK(close(fd) == 0);
  }
  DIR *dir = opendir("/out/many");
  CHECK(dir != NULL);
  int seen = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) seen += entry->d_name[0] != '.';
  CHECK(seen == 300);
  rewinddir(dir);
  CHECK(readdir(dir) != NULL);
  closedir(dir);

  int fd = open("/out/sparse", O_CREAT | O_RDWR, 0666);
  CHECK(lseek(fd, 1000, SEEK_SET) == 1000);
  CHECK(write(fd, "x", 1) == 1);
  struct stat st;
  CHECK(fstat(fd, &st) == 0 && st.st_size == 1001);
  char byte = 7;
  CHECK(pread(fd, &byte, 1, 500) == 1 && byte == 0);
  CHECK(lseek(fd, -5000, SEEK_CUR) == -1 && errno == EINVAL);
  CHECK(ftruncate(fd, 10) == 0);
  CHECK(posix_fallocate(fd, 0, 100) == 0);
  CHECK(fstat(fd, &st) == 0 && st.st_size == 100);
  close(fd);

  CHECK(open("/out/sparse", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
  CHECK(open("/out/many", O_WRONLY) == -1 && errno == EISDIR);
  CHECK(unlink("/out/many") == -1 && errno == EISDIR);
  CHECK(rmdir("/out/many") == -1 && errno == ENOTEMPTY);
  CHECK(rename("/out/sparse", "/out/many") == -1 && errno == EISDIR);
  CHECK(mkdir("/out/empty", 0777) == 0);
  CHECK(rename("/out/empty", "/out/moved") == 0);
  CHECK(rename("/out/many", "/out/many/inside") == -1 && errno == EINVAL);
  CHECK(link("/out/sparse", "/out/hard") == 0);
  CHECK(stat("/out/hard", &st) == 0 && st.st_nlink == 2);
  CHECK(unlink("/out/sparse") == 0);
  CHECK(stat("/out/hard", &st) == 0 && st.st_nlink == 1);
  CHECK(symlink("hard", "/out/soft") == 0);
  CHECK(lstat("/out/soft", &st) == 0 && S_ISLNK(st.st_mode));
  CHECK(open("/out/soft", O_RDONLY | O_NOFOLLOW) == -1 && errno == ELOOP);
  /* wasi-libc asks only for the rights its directory has, so opening succeeds and writing does not */
  fd = open("/in/given", O_RDWR);
  CHECK(fd >= 0 && write(fd, "x", 1) == -1);
  int other = open("/out/hard", O_RDONLY);
  CHECK(other >= 0);
  /* the folder that is open as / is the working directory */
  FILE *relative = fopen("relative", "w");
  CHECK(relative != NULL && fputs("x", relative) >= 0 && fclose(relative) == 0);
  CHECK(stat("/out/relative", &st) == 0 && st.st_size == 1);
  CHECK(mkdir("./sub", 0777) == 0 && stat("/out/sub", &st) == 0 && S_ISDIR(st.st_mode));
  CHECK(read(0, &byte, 1) == 1 && byte == 's');
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
