#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes TensorFlow Lite's x86-64 Android library loadable on x86-64 Linux, for tests:
#
#     shim/build.sh path/to/jni/x86_64/libtensorflowlite_jni.so FOLDER
#
# An Android library asks for libc.so, libm.so, libdl.so and liblog.so, and for symbols of the
# version LIBC. Four small libraries of these names pass the calls on to glibc; bionic.c has those
# that differ. Where this cannot be built, it says why and ends with 0: the tests are skipped.
set -eu
library=$1
folder=$2
shim=$(dirname "$0")

rm -rf "$folder"
mkdir -p "$folder"
if [ "$(uname -s) $(uname -m)" != "Linux x86_64" ]; then
    echo "no shim on $(uname -s) $(uname -m): it needs x86-64 Linux"
    exit 0
fi
for tool in gcc nm; do
    if ! command -v $tool >/dev/null; then
        echo "no shim: $tool not found (apt install gcc)"
        exit 0
    fi
done

# What bionic.c defines, and a jump to glibc for every other function.
own=$(sed -n 's/^BIONIC([^,]*, \([a-z_0-9]*\),.*/\1/p; s/^EXPORT(\(.*\));/\1/p' "$shim/bionic.c")
{
    echo .text
    nm -D --undefined-only "$library" | sed -n 's/.* U \(.*\)@LIBC$/\1/p' | sort -u |
        while read -r name; do
            if echo "$own" | grep -qx "$name"; then continue; fi
            echo ".globl b_$name"
            echo ".type b_$name, @function"
            echo "b_$name: jmp *$name@GOTPCREL(%rip)"
            echo ".symver b_$name, $name@LIBC"
        done
    echo '.section .note.GNU-stack, "", @progbits'
} >"$folder/glibc.S"
echo 'LIBC { global: *; };' >"$folder/libc.map"

link() {  # NAME SOURCES AND OPTIONS
    name=$1
    shift
    gcc -O1 -Wall -Wextra -fPIC -shared -Wl,-z,now -Wl,-soname,"$name.so" -o "$folder/$name.so" "$@"
}
link libc -Wl,--version-script="$folder/libc.map" "$shim/bionic.c" "$folder/glibc.S" -lm -ldl
for name in libm libdl; do
    link $name -Wl,--version-script="$folder/libc.map" -x c /dev/null
done
link liblog "$shim/log.c"
cp "$library" "$folder/"
