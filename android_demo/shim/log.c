/* SPDX-License-Identifier: Apache-2.0 */
/* Android's log, to the standard error stream. */
#include <stdarg.h>
#include <stdio.h>

int __android_log_vprint(int priority, const char *tag, const char *format, va_list values) {
    (void)priority;
    fprintf(stderr, "%s: ", tag);
    int written = vfprintf(stderr, format, values);
    fputc('\n', stderr);
    return written;
}
