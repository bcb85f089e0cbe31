# SPDX-License-Identifier: Apache-2.0
"""Extractive question answering: data, windows, labels, answers and scores."""

from pipeline.tasks.question_answering.task import QuestionAnswering

TASK = QuestionAnswering()
