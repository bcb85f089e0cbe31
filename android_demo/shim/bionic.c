/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of Android's C library that differ from glibc's on x86-64, as far as
 * libtensorflowlite_jni.so calls them. build.sh passes every other one on to glibc as it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Defines b_NAME and exports it as NAME, version LIBC. */
#define EXPORT(name) __asm__(".symver b_" #name "," #name "@LIBC")
#define BIONIC(type, name, ...)       \
    type b_##name(__VA_ARGS__);       \
    EXPORT(name);                     \
    type b_##name(__VA_ARGS__)

/* stdin, stdout and stderr were one array before Android 6; only addresses into it are used. */
enum { BIONIC_FILE_BYTES = 152 };
char b___sF[3 * BIONIC_FILE_BYTES];
EXPORT(__sF);

static FILE *stream(void *file) {
    FILE *standard[] = {stdin, stdout, stderr};
    for (int i = 0; i < 3; i++)
        if (file == b___sF + i * BIONIC_FILE_BYTES) return standard[i];
    return file;
}

BIONIC(int, fclose, void *file) { return fclose(stream(file)); }
BIONIC(int, fflush, void *file) { return fflush(file ? stream(file) : NULL); }
BIONIC(int, fileno, void *file) { return fileno(stream(file)); }
BIONIC(int, fputc, int byte, void *file) { return fputc(byte, stream(file)); }

BIONIC(size_t, fread, void *to, size_t size, size_t count, void *file) {
    return fread(to, size, count, stream(file));
}

BIONIC(size_t, fwrite, const void *from, size_t size, size_t count, void *file) {
    return fwrite(from, size, count, stream(file));
}

BIONIC(int, vfprintf, void *file, const char *format, va_list values) {
    return vfprintf(stream(file), format, values);
}

BIONIC(int, fprintf, void *file, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int written = vfprintf(stream(file), format, values);
    va_end(values);
    return written;
}

BIONIC(int *, __errno, void) { return &errno; }

/* Android's checked calls end the process where a size does not fit. */
BIONIC(int, __open_2, const char *path, int flags) { return open(path, flags); }

BIONIC(ssize_t, __read_chk, int file, void *to, size_t count, size_t room) {
    if (count > room) abort();
    return read(file, to, count);
}

BIONIC(size_t, __strlen_chk, const char *text, size_t room) {
    size_t length = strnlen(text, room);
    if (length == room) abort();
    return length;
}

/* Returns an int and fills the buffer, as POSIX has it; glibc's strerror_r returns the text. */
extern int __xpg_strerror_r(int error, char *to, size_t room);
BIONIC(int, strerror_r, int error, char *to, size_t room) {
    return __xpg_strerror_r(error, to, room);
}

/* No system property is set here. */
BIONIC(int, __system_property_get, const char *name, char *value) {
    (void)name;
    *value = '\0';
    return 0;
}

BIONIC(void, android_set_abort_message, const char *message) {
    fprintf(stderr, "abort: %s\n", message);
}

/* The numbers of sysconf's questions are each system's own. */
BIONIC(long, sysconf, int question) {
    static const int questions[][2] = {
        {0x06, _SC_CLK_TCK},          {0x27, _SC_PAGESIZE},         {0x28, _SC_PAGESIZE},
        {0x60, _SC_NPROCESSORS_CONF}, {0x61, _SC_NPROCESSORS_ONLN}, {0x62, _SC_PHYS_PAGES},
        {0x63, _SC_AVPHYS_PAGES},
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (question == questions[i][0]) return sysconf(questions[i][1]);
    errno = EINVAL;
    return -1;
}
