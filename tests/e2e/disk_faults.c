/* Has one operation on a folder's files fail, as a bad disk or a kill at the worst moment does: a library for LD_PRELOAD,
 * compiled and set up by disk_faults.rs.
 *
 * It stands before those functions of the C library that change files, and that read them, and counts their calls for
 * paths below a folder, over all threads. The call with the wanted number fails, or ends the process. What counts lies
 * in a file that the test maps out: how many calls there were, and which one was hit.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the test reads afterwards. */
struct told {
  _Atomic long count;
  char hit[4088];
};

static struct told *told;
static const char *folder;
static long at;
static int error, reads;

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("DISK_FAULT_FILE");
  folder = getenv("DISK_FAULT_FOLDER");
  if (!file || !folder) return;
  at = atol(getenv("DISK_FAULT_AT"));
  error = atoi(getenv("DISK_FAULT_ERROR"));
  reads = getenv("DISK_FAULT_READS") != NULL;
  int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR, 0);
  void *map = mmap(NULL, sizeof(struct told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || map == MAP_FAILED) abort();
  close(fd);
  told = map;
}

/* Counts a call for a path. Returns whether it is to fail; errno says how. */
static int fails(const char *what, const char *path) {
  char whole[PATH_MAX];
  if (!told || !path) return 0;
  if (path[0] != '/') {
    char here[PATH_MAX / 2];
    if (!getcwd(here, sizeof here)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
    path = whole;
  }
  size_t length = strlen(folder);
  if (strncmp(path, folder, length) != 0 || path[length] != '/') return 0;
  if (atomic_fetch_add(&told->count, 1) + 1 != at) return 0;
  snprintf(told->hit, sizeof told->hit, "%s %s", what, path + length + 1);
  if (error == 0) {
    raise(SIGKILL);
    for (;;) pause();
  }
  errno = error;
  return 1;
}

static int fails_fd(const char *what, int fd) {
  char name[64], path[PATH_MAX];
  if (!told) return 0;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(name, path, sizeof path - 1);
  /* What is no file has another name, such as `pipe:[7]`. */
  if (length <= 0 || path[0] != '/') return 0;
  path[length] = 0;
  return fails(what, path);
}

#define NEXT(name, ...) \
  static __typeof__(name) *next; \
  if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
  return next(__VA_ARGS__)

static int is_counted(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) || reads; }

#define OPENS(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (is_counted(flags) && fails("open", path)) return -1; \
    NEXT(name, path, flags, mode); \
  }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
  int name(int base, const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (is_counted(flags) && fails("open", path)) return -1; \
    NEXT(name, base, path, flags, mode); \
  }
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int fd, const void *bytes, size_t count) {
  if (fails_fd("write", fd)) return -1;
  NEXT(write, fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (fails_fd("write", fd)) return -1;
  NEXT(writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  if (fails_fd("write", fd)) return -1;
  NEXT(pwrite64, fd, bytes, count, offset);
}

ssize_t read(int fd, void *bytes, size_t count) {
  if (reads && fails_fd("read", fd)) return -1;
  NEXT(read, fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset) {
  if (reads && fails_fd("read", fd)) return -1;
  NEXT(pread64, fd, bytes, count, offset);
}

int fsync(int fd) {
  if (fails_fd("fsync", fd)) return -1;
  NEXT(fsync, fd);
}

int fdatasync(int fd) {
  if (fails_fd("fdatasync", fd)) return -1;
  NEXT(fdatasync, fd);
}

int ftruncate64(int fd, off64_t length) {
  if (fails_fd("truncate", fd)) return -1;
  NEXT(ftruncate64, fd, length);
}

int rename(const char *from, const char *to) {
  if (fails("rename", to)) return -1;
  NEXT(rename, from, to);
}

int unlink(const char *path) {
  if (fails("unlink", path)) return -1;
  NEXT(unlink, path);
}

int unlinkat(int base, const char *path, int flags) {
  if (fails("unlink", path)) return -1;
  NEXT(unlinkat, base, path, flags);
}

int rmdir(const char *path) {
  if (fails("rmdir", path)) return -1;
  NEXT(rmdir, path);
}

int mkdir(const char *path, mode_t mode) {
  if (fails("mkdir", path)) return -1;
  NEXT(mkdir, path, mode);
}
