// SPDX-License-Identifier: Apache-2.0
// Runs a .tflite file through LiteRT's C API: what an Android app links, built for arm64 and run
// under qemu by compat_worker.py. One argument, the file. Numbers are int32 and float32 in the
// machine's order. First out: 1, the file is open. Then for each request in (length n, ids, mask,
// segment_ids of n each), out: microseconds of the run, start_logits, end_logits. A call that fails
// ends the program with a line on stderr. Declarations follow the library's public headers
// (litert/c); every call returns 0 if it worked.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef void* Handle;
typedef struct {
  unsigned int rank : 7, has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
} Layout;
typedef struct {
  int32_t element_type;
  Layout layout;
} TensorType;

int LiteRtCreateEnvironment(int, const void*, Handle*);
int LiteRtCreateModelFromFile(Handle, const char*, Handle*);
int LiteRtCreateOptions(Handle*);
int LiteRtSetOptionsHardwareAccelerators(Handle, int);
int LiteRtCreateCompiledModel(Handle, Handle, Handle, Handle*);
int LiteRtCompiledModelResizeInputTensor(Handle, size_t, size_t, const int*, size_t);
int LiteRtGetCompiledModelOutputTensorLayouts(Handle, size_t, size_t, Layout*, _Bool);
int LiteRtGetCompiledModelInputBufferRequirements(Handle, size_t, size_t, Handle*);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle, size_t, size_t, Handle*);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle, const TensorType*, Handle, Handle*);
int LiteRtLockTensorBuffer(Handle, void**, int);
int LiteRtUnlockTensorBuffer(Handle);
int LiteRtRunCompiledModel(Handle, size_t, size_t, Handle*, size_t, Handle*);
void LiteRtDestroyTensorBuffer(Handle);

enum { kCpu = 1, kFloat = 1, kInt = 2, kRead = 0, kWrite = 1 };

static void check(int status, const char* call) {
  if (status == 0) return;
  fprintf(stderr, "%s failed with status %d\n", call, status);
  exit(3);
}
#define CALL(name, ...) check(name(__VA_ARGS__), #name)

static void transfer(void* data, size_t bytes, int in) {
  for (char* at = data; bytes > 0;) {
    ssize_t moved = in ? read(0, at, bytes) : write(1, at, bytes);
    if (moved <= 0) exit(0);
    at += moved, bytes -= moved;
  }
}

int main(int count, char** arguments) {
  if (count != 2) return fprintf(stderr, "usage: %s FILE\n", arguments[0]), 2;
  Handle environment, model, options, compiled;
  CALL(LiteRtCreateEnvironment, 0, NULL, &environment);
  CALL(LiteRtCreateModelFromFile, environment, arguments[1], &model);
  CALL(LiteRtCreateOptions, &options);
  CALL(LiteRtSetOptionsHardwareAccelerators, options, kCpu);
  CALL(LiteRtCreateCompiledModel, environment, model, options, &compiled);
  int32_t opened = 1;
  transfer(&opened, 4, 0);
  for (int32_t n, now = 0;; now = n) {
    Handle buffers[5], needs;
    Layout layouts[2];
    void* data;
    struct timespec began, ended;
    transfer(&n, 4, 1);
    for (int i = 0; i < 3 && n != now; i++)
      CALL(LiteRtCompiledModelResizeInputTensor, compiled, 0, i, (int[]){1, n}, 2);
    // Without this, the needs of the outputs are those of the last length.
    CALL(LiteRtGetCompiledModelOutputTensorLayouts, compiled, 0, 2, layouts, 1);
    for (int i = 0; i < 5; i++) {
      TensorType each = {i < 3 ? kInt : kFloat, {.rank = 2, .dimensions = {1, n}}};
      if (i < 3)
        CALL(LiteRtGetCompiledModelInputBufferRequirements, compiled, 0, i, &needs);
      else
        CALL(LiteRtGetCompiledModelOutputBufferRequirements, compiled, 0, i - 3, &needs);
      CALL(LiteRtCreateManagedTensorBufferFromRequirements, environment, &each, needs, buffers + i);
      if (i >= 3) continue;
      CALL(LiteRtLockTensorBuffer, buffers[i], &data, kWrite);
      transfer(data, 4 * n, 1);
      CALL(LiteRtUnlockTensorBuffer, buffers[i]);
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    CALL(LiteRtRunCompiledModel, compiled, 0, 3, buffers, 2, buffers + 3);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    int32_t spent = (ended.tv_sec - began.tv_sec) * 1000000 + (ended.tv_nsec - began.tv_nsec) / 1000;
    transfer(&spent, 4, 0);
    for (int i = 0; i < 5; i++) {
      if (i >= 3) {
        CALL(LiteRtLockTensorBuffer, buffers[i], &data, kRead);
        transfer(data, 4 * n, 0);
        CALL(LiteRtUnlockTensorBuffer, buffers[i]);
      }
      LiteRtDestroyTensorBuffer(buffers[i]);
    }
  }
}
