# SPDX-License-Identifier: Apache-2.0
"""Classification of texts and of pairs of texts, and regression: data, inputs, scores, files."""

from pipeline.tasks.text_classification.task import TextClassification

TASK = TextClassification()
