# SPDX-License-Identifier: Apache-2.0
"""Answers questions with optimum's ONNX Runtime class and the pipeline of transformers 4.

    python optimum_answers.py HUB_FOLDER FILE_NAME CASES_JSON

It runs in an environment of its own and prints JSON: for each case the pipeline's answer with its
code points and score, and the ids and logits below it.
"""

import json
import sys
from pathlib import Path

from optimum.onnxruntime import ORTModelForQuestionAnswering
from transformers import AutoTokenizer, pipeline

hub, file_name, cases = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(hub)
model = ORTModelForQuestionAnswering.from_pretrained(hub, subfolder="onnx", file_name=file_name)
answerer = pipeline("question-answering", model=model, tokenizer=tokenizer)
results = []
for case in json.loads(Path(cases).read_text(encoding="utf-8")):
    question, context = case["question"], case["context"]
    answer = answerer(
        question=question,
        context=context,
        max_seq_len=case["max_length"],
        max_answer_len=case["max_answer"],
        align_to_words=False,
    )
    encoded = tokenizer(question, context, return_tensors="np")
    output = model(**encoded)
    results.append(
        {
            **answer,
            "ids": encoded["input_ids"][0].tolist(),
            "start_logits": output.start_logits[0].tolist(),
            "end_logits": output.end_logits[0].tolist(),
        }
    )
print(json.dumps(results))
