# SPDX-License-Identifier: Apache-2.0
"""Latency, memory and the machine they were measured on, for anything that answers a query."""
