/*
 * Preloaded into a program, this records everything that the program does to the files below a directory, in order:
 * what a simulated power cut needs to know. It can also make a sync or a write fail.
 *
 *   RECORD_DIR           the directory; it exists and is empty
 *   RECORD_TO            the file to record to
 *   RECORD_ACKNOWLEDGED  a file outside of the directory: what is written to it is an acknowledgement
 *   FAIL_SYNC=N          the N-th sync fails with EIO
 *   FAIL_WRITE=N         the N-th write writes one half, and the one after it fails with ENOSPC
 *   READ_ONLY=N          from the N-th write on nothing can be changed (EROFS)
 *
 * Each event is a struct event, followed by `length` octets. Not seen: writes through mmap.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATE = 'c',     /* file, name */
    MKDIR = 'd',      /* file, name */
    WRITE = 'w',      /* file, offset, octets */
    TRUNCATE = 't',   /* file, offset: the new length */
    SYNC_BEGIN = 's', /* file, offset: number of the sync */
    SYNC_END = 'e',   /* the same, ok */
    RENAME = 'r',     /* old name, NUL, new name */
    LINK = 'l',       /* old name, NUL, new name */
    UNLINK = 'u',     /* name */
    RMDIR = 'x',      /* name */
    ACKNOWLEDGE = 'a' /* octets */
};

struct event {
    uint8_t kind, ok, unused[2];
    uint32_t length;
    uint64_t file, offset;
};

#define FDS 4096
#define FILES 65536

static uint64_t file_of_fd[FDS];
static struct { uint64_t inode, file; } files[FILES];
static unsigned file_count;
static uint64_t last_file;
static char root[PATH_MAX];
static size_t root_length;
static int record_fd = -1, acknowledge_fd = -1;
static const char *acknowledged;
static long syncs, fail_sync, writes, fail_write, read_only;
static uint64_t sync_number;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&mutex); }

static void unlock(void) {
    int kept = errno;
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static void put(const void *octets, size_t length) {
    const char *at = octets;
    while (length > 0) {
        ssize_t done = syscall(SYS_write, record_fd, at, length);
        if (done <= 0)
            _exit(99);
        at += done;
        length -= (size_t)done;
    }
}

static void emit(enum kind kind, int ok, uint64_t file, uint64_t offset, const void *octets, size_t length) {
    int kept = errno;
    struct event event = {(uint8_t)kind, (uint8_t)ok, {0, 0}, (uint32_t)length, file, offset};
    put(&event, sizeof event);
    put(octets, length);
    errno = kept;
}

/* Inodes are used again; the numbers given out here are not. */
static uint64_t new_file(uint64_t inode) {
    for (unsigned i = 0; i < file_count; i++)
        if (files[i].inode == inode)
            return files[i].file = ++last_file;
    if (file_count == FILES)
        _exit(98);
    files[file_count].inode = inode;
    return files[file_count++].file = ++last_file;
}

static uint64_t known_file(uint64_t inode) {
    for (unsigned i = 0; i < file_count; i++)
        if (files[i].inode == inode)
            return files[i].file;
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("RECORD_DIR"), *to = getenv("RECORD_TO");
    struct stat found;
    if (!dir || !to || !realpath(dir, root) || stat(root, &found) != 0)
        return;
    root_length = strlen(root);
    new_file(found.st_ino);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, to, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    record_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FDS);
    if (record_fd < 0)
        record_fd = fd;
    acknowledged = getenv("RECORD_ACKNOWLEDGED");
    if (getenv("FAIL_SYNC"))
        fail_sync = atol(getenv("FAIL_SYNC"));
    if (getenv("FAIL_WRITE"))
        fail_write = atol(getenv("FAIL_WRITE"));
    if (getenv("READ_ONLY"))
        read_only = atol(getenv("READ_ONLY"));
}

/* The name below the root, which begins with a slash; null if it is not there. */
static const char *name_below(int dirfd, const char *path, char *room) {
    char joined[2 * PATH_MAX], base[PATH_MAX], last[NAME_MAX + 1];
    if (record_fd < 0)
        return NULL;
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else if (dirfd == AT_FDCWD) {
        if (!getcwd(base, sizeof base))
            return NULL;
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0)
            return NULL;
        base[length] = 0;
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    }
    char *slash = strrchr(joined, '/');
    snprintf(last, sizeof last, "%s", slash + 1);
    *(slash == joined ? slash + 1 : slash) = 0;
    if (!realpath(joined, base))
        return NULL;
    if (last[0] == 0 || strcmp(last, ".") == 0)
        snprintf(room, PATH_MAX, "%s", base);
    else
        snprintf(room, PATH_MAX, "%.*s/%s", (int)(PATH_MAX - sizeof last - 2), base, last);
    if (strncmp(room, root, root_length) != 0 || (room[root_length] != '/' && room[root_length] != 0))
        return NULL;
    return room + root_length;
}

/* Whether a change has to fail. */
static int is_read_only(void) {
    if (!read_only || writes < read_only)
        return 0;
    errno = EROFS;
    return 1;
}

static uint64_t file_of(int fd) { return record_fd >= 0 && fd >= 0 && fd < FDS ? file_of_fd[fd] : 0; }

static int open_any(int dirfd, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *name = name_below(dirfd, path, room);
    if (!name) {
        int other = (int)syscall(SYS_openat, dirfd, path, flags, mode);
        if (acknowledged && strcmp(path, acknowledged) == 0)
            acknowledge_fd = other;
        return other;
    }
    if ((flags & (O_CREAT | O_TRUNC)) && is_read_only())
        return -1;
    lock();
    struct stat found;
    int existed = fstatat(dirfd, path, &found, 0) == 0;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && fd < FDS && fstat(fd, &found) == 0) {
        if (!existed) {
            file_of_fd[fd] = new_file(found.st_ino);
            emit(CREATE, 1, file_of_fd[fd], 0, name, strlen(name));
        } else {
            file_of_fd[fd] = known_file(found.st_ino);
            if (flags & O_TRUNC)
                emit(TRUNCATE, 1, file_of_fd[fd], 0, NULL, 0);
        }
    }
    unlock();
    return fd;
}

#define MODE_ARGUMENT                        \
    mode_t mode = 0;                         \
    if (flags & (O_CREAT | O_TMPFILE)) {     \
        va_list arguments;                   \
        va_start(arguments, flags);          \
        mode = va_arg(arguments, mode_t);    \
        va_end(arguments);                   \
    }

int open(const char *path, int flags, ...) { MODE_ARGUMENT return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARGUMENT return open_any(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE_ARGUMENT return open_any(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE_ARGUMENT return open_any(dir, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS)
        file_of_fd[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

static int duplicate(int fd, int command, long argument) {
    int copy = (int)syscall(SYS_fcntl, fd, command, argument);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && copy >= 0 && copy < FDS)
        file_of_fd[copy] = file_of(fd);
    return copy;
}

#define FCNTL                                \
    va_list arguments;                       \
    va_start(arguments, command);            \
    long argument = va_arg(arguments, long); \
    va_end(arguments);                       \
    return duplicate(fd, command, argument);

int fcntl(int fd, int command, ...) { FCNTL }
int fcntl64(int fd, int command, ...) { FCNTL }
int dup(int fd) { return duplicate(fd, F_DUPFD, 0); }

/* How much of a write goes through; -1 if it is to fail. Called with the lock held. */
static ssize_t admitted(size_t length) {
    writes++;
    if (is_read_only()) {
        if (writes == read_only)
            fprintf(stderr, "injected EROFS\n");
        errno = EROFS;
        return -1;
    }
    if (fail_write && writes == fail_write && length > 1)
        return (ssize_t)(length / 2);
    if (fail_write && writes == fail_write + 1) {
        fprintf(stderr, "injected ENOSPC\n");
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)length;
}

static ssize_t write_at(int fd, const void *octets, size_t length, off_t offset) {
    lock();
    ssize_t allowed = admitted(length), done = -1;
    if (allowed >= 0)
        done = syscall(SYS_pwrite64, fd, octets, (size_t)allowed, offset);
    if (done > 0)
        emit(WRITE, 1, file_of(fd), (uint64_t)offset, octets, (size_t)done);
    unlock();
    return done;
}

ssize_t pwrite(int fd, const void *octets, size_t length, off_t offset) {
    if (!file_of(fd))
        return syscall(SYS_pwrite64, fd, octets, length, offset);
    return write_at(fd, octets, length, offset);
}

ssize_t pwrite64(int fd, const void *octets, size_t length, off_t offset) {
    return pwrite(fd, octets, length, offset);
}

ssize_t write(int fd, const void *octets, size_t length) {
    if (fd == acknowledge_fd && record_fd >= 0) {
        lock();
        emit(ACKNOWLEDGE, 1, 0, 0, octets, length);
        ssize_t done = syscall(SYS_write, fd, octets, length);
        unlock();
        return done;
    }
    if (!file_of(fd))
        return syscall(SYS_write, fd, octets, length);
    lock();
    ssize_t allowed = admitted(length), done = -1;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    if (allowed >= 0)
        done = syscall(SYS_write, fd, octets, (size_t)allowed);
    if (done > 0)
        emit(WRITE, 1, file_of(fd), (uint64_t)offset, octets, (size_t)done);
    unlock();
    return done;
}

/* As if the program had written the first part only; it writes the others again. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!file_of(fd) || count < 1)
        return syscall(SYS_writev, fd, parts, count);
    return write(fd, parts[0].iov_base, parts[0].iov_len);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (!file_of(fd) || count < 1)
        return syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
    return pwrite(fd, parts[0].iov_base, parts[0].iov_len, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev(fd, parts, count, offset);
}

int ftruncate(int fd, off_t length) {
    if (!file_of(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    if (is_read_only())
        return -1;
    lock();
    int result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        emit(TRUNCATE, 1, file_of(fd), (uint64_t)length, NULL, 0);
    unlock();
    return result;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

/* Not modelled: programs fall back to other ways. */
int fallocate(int fd, int mode, off_t offset, off_t length) {
    if (!file_of(fd))
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate64(int fd, int mode, off_t offset, off_t length) { return fallocate(fd, mode, offset, length); }

static int sync_any(int fd, long call) {
    uint64_t file = file_of(fd);
    if (!file)
        return (int)syscall(call, fd);
    lock();
    uint64_t number = ++sync_number;
    int fails = ++syncs == fail_sync;
    emit(SYNC_BEGIN, 1, file, number, NULL, 0);
    unlock();
    int result = -1;
    if (fails) {
        fprintf(stderr, "injected EIO\n");
        errno = EIO;
    } else if (!is_read_only()) {
        result = (int)syscall(call, fd);
    }
    lock();
    emit(SYNC_END, result == 0, file, number, NULL, 0);
    unlock();
    return result;
}

int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

static int two_names(enum kind kind, long call, int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char from_room[PATH_MAX], to_room[PATH_MAX], both[2 * PATH_MAX];
    const char *from_name = name_below(from_dir, from, from_room), *to_name = name_below(to_dir, to, to_room);
    if (!from_name || !to_name)
        return (int)syscall(call, from_dir, from, to_dir, to, flags);
    if (is_read_only())
        return -1;
    lock();
    int result = (int)syscall(call, from_dir, from, to_dir, to, flags);
    if (result == 0) {
        size_t first = strlen(from_name) + 1, second = strlen(to_name);
        memcpy(both, from_name, first);
        memcpy(both + first, to_name, second);
        emit(kind, 1, 0, 0, both, first + second);
    }
    unlock();
    return result;
}

int rename(const char *from, const char *to) {
    return two_names(RENAME, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return two_names(RENAME, SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return two_names(RENAME, SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to) {
    return two_names(LINK, SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    return two_names(LINK, SYS_linkat, from_dir, from, to_dir, to, (unsigned)flags);
}

int unlinkat(int dir, const char *path, int flags) {
    char room[PATH_MAX];
    const char *name = name_below(dir, path, room);
    if (!name)
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    if (is_read_only())
        return -1;
    lock();
    int result = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (result == 0)
        emit(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 1, 0, 0, name, strlen(name));
    unlock();
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    char room[PATH_MAX];
    const char *name = name_below(dir, path, room);
    if (!name)
        return (int)syscall(SYS_mkdirat, dir, path, mode);
    if (is_read_only())
        return -1;
    lock();
    int result = (int)syscall(SYS_mkdirat, dir, path, mode);
    struct stat found;
    if (result == 0 && fstatat(dir, path, &found, 0) == 0)
        emit(MKDIR, 1, new_file(found.st_ino), 0, name, strlen(name));
    unlock();
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
