#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Style and tests of all modules, by Maven; arguments are Maven's. With ANDROID=optional a missing
# tool, or a first run without network, ends it with a line that says so; otherwise with an error.
# A failed check, compilation or test is an error in any case.
set -euo pipefail
cd "$(dirname "$0")"
echo "android-test: style and JVM tests of all Kotlin modules; some minutes, the first time with downloads"

give_up() {
    if [ "${ANDROID:-}" = optional ]; then
        echo "android-test skipped: $1"
        exit 0
    fi
    echo "error: android-test: $1" >&2
    exit 2
}

missing=()
for tool in javac mvn; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    give_up "not found: ${missing[*]} (apt-get install default-jdk-headless maven)"
fi

# Maven's output with lines that say what takes the time now, and without the help at its end.
narrate() {
    local line module
    while IFS= read -r line; do
        module=${line##* @ }
        module=${module%% *}
        case $line in
            '[ERROR] To see the full stack trace'* | '[ERROR] Re-run Maven'* | \
                '[ERROR] For more information about the errors'* | '[ERROR] [Help '* | \
                '[ERROR] After correcting the problems'* | '[ERROR]   mvn <args>'* | \
                '[ERROR] ') continue ;;
        esac
        printf '%s\n' "${line% -> \[Help 1\]}"
        case $line in
            *'compile) @ android-demo '* | *'compile) @ android ---'*) ;; # they have no code
            *'(ktlint) @ '*) echo "android-test: ktlint and detekt check the style of all modules" ;;
            *':compile (compile) @ '*) echo "android-test: compiling $module" ;;
            *':test-compile (test-compile) @ '*) echo "android-test: compiling the tests of $module" ;;
            *'(default-test) @ '*) echo "android-test: running the tests of $module" ;;
        esac
    done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mvn --batch-mode -Dstyle.color=never "$@" 2>&1 | tee "$log" | narrate; then
    # Where anything was compiled or tested, it is not the network that is missing.
    errors=$(grep -E '^\[(ERROR|FATAL)\]' "$log" || true)
    if grep -qE 'Could not transfer artifact|in offline mode' <<<"$errors" &&
        ! grep -qE 'ompilation failure|There are test failures|Tests run:' "$log"; then
        give_up "Maven could not fetch what it needs; only the first run needs the network"
    fi
    # Maven ends with its own help, pages after the reason.
    places='<<< (FAILURE|ERROR)!|^\[ERROR\] (file:|.*\.kt:)|^\[[A-Z]+\] +\[ktlint\] .*\.kts?:[0-9]+'
    reasons=$(grep -E "$places" -m 20 "$log" || true)
    if [ -n "$reasons" ]; then
        printf 'error: android-test: what failed first:\n%s\n' "$reasons" >&2
    fi
    exit 1
fi
