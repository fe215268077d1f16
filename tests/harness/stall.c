/* A disk that stands still, for one process: preloaded (ld.so(8)), it holds every call on what lies below
   $STALL_BELOW for as long as somebody else has the file $STALL_GATE locked (flock(2)). */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The calls are made here and not by the library's own, so that nothing has to be looked up while a process
   starts; what they return and leave in errno is the kernel's. */
#define CALL(number, ...) syscall(number, ##__VA_ARGS__)

static void pass(const char *path)
{
    const char *below = getenv("STALL_BELOW"), *gate = getenv("STALL_GATE");
    if (!below || !gate || strncmp(path, below, strlen(below)) != 0)
        return;
    int before = errno;
    int file = CALL(SYS_openat, AT_FDCWD, gate, O_RDONLY | O_CLOEXEC);
    while (flock(file, LOCK_SH) != 0 && errno == EINTR)
        ;
    CALL(SYS_close, file);
    errno = before;
}

static void pass_file(int file)
{
    char link[40], path[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = CALL(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return;
    path[length] = 0;
    pass(path);
}

int openat64(int directory, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    pass(path);
    return CALL(SYS_openat, directory, path, flags | O_LARGEFILE, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return openat64(AT_FDCWD, path, flags, mode);
}

ssize_t read(int file, void *bytes, size_t count)
{
    pass_file(file);
    return CALL(SYS_read, file, bytes, count);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at)
{
    pass_file(file);
    return CALL(SYS_pread64, file, bytes, count, at);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    pass_file(file);
    return CALL(SYS_write, file, bytes, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at)
{
    pass_file(file);
    return CALL(SYS_pwrite64, file, bytes, count, at);
}

int fsync(int file)
{
    pass_file(file);
    return CALL(SYS_fsync, file);
}

int fdatasync(int file)
{
    pass_file(file);
    return CALL(SYS_fdatasync, file);
}

int ftruncate64(int file, off64_t length)
{
    pass_file(file);
    return CALL(SYS_ftruncate, file, length);
}

int mkdir(const char *path, mode_t mode)
{
    pass(path);
    return CALL(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to)
{
    pass(from);
    return CALL(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    pass(path);
    return CALL(SYS_unlinkat, AT_FDCWD, path, 0);
}
