# SPDX-License-Identifier: Apache-2.0
"""What the models read: question-answering data in SQuAD format, its features, plain text."""
