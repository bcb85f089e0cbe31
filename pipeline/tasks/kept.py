# SPDX-License-Identifier: Apache-2.0
"""The training inputs of a task, made once for all stages of a build that need the same ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pipeline.config import Data
from pipeline.tasks.task import Examples, Feature, Task, Traits


class Kept:
    """Keeps the training inputs that were made last, in the memory of this process.

    Making them takes seconds where examples are added to those of the data.  They depend on their
    key alone, so that a stage gets the same ones whether an earlier stage made them, or an earlier
    process did and this one resumes its build.
    """

    def __init__(self) -> None:
        self._key = ""
        self._features: Sequence[Feature] = ()

    def features(
        self, task: Task, tokenizer: Any, data: Data, train: Examples, traits: Traits
    ) -> Sequence[Feature]:
        """What `task.features` gives; nobody may change it.

        Raises:
            UserError: there is nothing to learn from.
        """
        key = _key(task, tokenizer, data, train, traits)
        if key != self._key:
            self.clear()  # the old ones and the new ones together may not fit into memory
            self._features = task.features(tokenizer, data, train, traits)
            self._key = key
        return self._features

    def clear(self) -> None:
        """Frees the memory."""
        self._key, self._features = "", ()


def _key(task: Task, tokenizer: Any, data: Data, train: Examples, traits: Traits) -> str:
    """sha256 of all that decides the inputs: examples, settings and every rule of the tokenizer."""
    document = {
        "task": task.name,
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "longest": tokenizer.model_max_length,
        "encoding": task.encoding(data),
        "train": (train.sha256, len(train.examples)),
        "traits": traits,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
