# SPDX-License-Identifier: Apache-2.0
"""The measured figures of README.md and docs/*.md: kept in docs/results.json, and put into the pages."""
