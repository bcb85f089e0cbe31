# SPDX-License-Identifier: Apache-2.0
"""What `aapt dump badging` and `apksigner verify` say of an APK, held against what it shall be."""

from __future__ import annotations

import re
from collections.abc import Sequence

PACKAGE = "distilbert.mobile.app"
SCHEMES = ("v2 scheme (APK Signature Scheme v2)", "v3 scheme (APK Signature Scheme v3)")


def problems(text: str, *, min_sdk: int, target_sdk: int, abis: Sequence[str]) -> list[str]:
    """What is wrong with the manifest.

    Args:
        text: what `aapt dump badging` printed.
        min_sdk: the oldest Android that it shall install on, an API level.
        target_sdk: the Android that it is written for.
        abis: of the native libraries it shall have.
    """
    found = []
    for what, pattern, expected in (
        ("package", r"^package: name='([^']*)'", PACKAGE),
        ("lowest API level", r"^sdkVersion:'(\d+)'", str(min_sdk)),
        ("target API level", r"^targetSdkVersion:'(\d+)'", str(target_sdk)),
    ):
        match = re.search(pattern, text, re.MULTILINE)
        if match is None or match[1] != expected:
            found.append(f"{what} {match[1] if match else 'not found'}, expected {expected}")
    # uses-permission, uses-permission-sdk-23, and those that others imply
    for line in re.findall(r"^uses-(?:implied-)?permission\S*:.*", text, re.MULTILINE):
        found.append(f"asks for a permission: {line}")
    native = re.search(r"^native-code:(.*)", text, re.MULTILINE)
    there = set(re.findall(r"'([^']+)'", native[1])) if native else set()
    if there != set(abis):
        found.append(f"native code for {', '.join(sorted(there)) or 'nothing'}")
    if not re.search(r"^launchable-activity: name='[^']+'", text, re.MULTILINE):
        found.append("no activity that a launcher shows")
    return found


def signature_problems(text: str) -> list[str]:
    """What is wrong with the signature, from what `apksigner verify --verbose` printed."""
    return [
        f"not signed with {scheme}"
        for scheme in SCHEMES
        if not re.search(rf"^Verified using {re.escape(scheme)}: true", text, re.MULTILINE)
    ]
