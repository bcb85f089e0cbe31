# SPDX-License-Identifier: Apache-2.0
"""Classifies texts with optimum's ONNX Runtime class and the pipeline of transformers 4.

    python optimum_classes.py HUB_FOLDER FILE_NAME TEXTS_JSON

It runs in an environment of its own and prints JSON: for each text the pipeline's labels and
scores, the best first, and the ids and logits below them.
"""

import json
import sys
from pathlib import Path

from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline

hub, file_name, texts = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(hub)
model = ORTModelForSequenceClassification.from_pretrained(
    hub, subfolder="onnx", file_name=file_name
)
classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
results = []
for text in json.loads(Path(texts).read_text(encoding="utf-8")):
    encoded = tokenizer(text, truncation=True, return_tensors="np")
    results.append(
        {
            "classes": classifier([text], truncation=True)[0],
            "ids": encoded["input_ids"][0].tolist(),
            "logits": model(**encoded).logits[0].tolist(),
        }
    )
print(json.dumps(results))
