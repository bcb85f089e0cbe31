# SPDX-License-Identifier: Apache-2.0
"""Question answering as a task of the build; see `pipeline.tasks.task.Task` for what each part is.

PyTorch and the data are imported inside the methods, so that `--help` and a build with nothing to
do end in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.config import Build, Data
from pipeline.data.sources import Part
from pipeline.models.heads import SPAN_HEAD
from pipeline.tasks.added import added_text
from pipeline.tasks.question_answering import languages, settings
from pipeline.tasks.question_answering.cloze import cloze_questions, shorten
from pipeline.tasks.question_answering.evaluate import (
    ABSTAINING,
    MEANING,
    METRICS,
    Answer,
    Answerer,
    best_null_threshold,
    score,
)
from pipeline.tasks.question_answering.features import Feature, Windower, training_features
from pipeline.tasks.question_answering.joined import join_passages
from pipeline.tasks.question_answering.search import Search
from pipeline.tasks.question_answering.squad import Question, QuestionSet, load_questions
from pipeline.tasks.task import Task, Traits

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.tasks.reading import Model


class QuestionAnswering(Task):
    """Extractive question answering: the answer is a span of the passage."""

    name = "question-answering"
    title = "question answering"
    label = "extractive question answering"
    description = (
        "Given a question and a passage, this model marks the words of the passage that answer the "
        "question."
    )
    summary = "Extractive question answering: finds the answer to a question in a passage."
    suffix = "qa"
    unit = "question"
    head = SPAN_HEAD
    metrics = (*METRICS, *ABSTAINING)
    settings = settings.QuestionBuild
    choosing = ("bad_answers", "empty_answers")
    card = Path(__file__).parent / "card"
    command = 'python -m pipeline.ask {file} --context "TEXT" "QUESTION?"'
    meaning = MEANING
    page = Path(__file__).parent / "page"

    def load(self, data: Data, part: Part) -> QuestionSet:
        """A SQuAD file, a hub data set with SQuAD's columns, or the embedded questions."""
        mine = _own(data)
        source, most = (
            (mine.train_file, mine.max_train)
            if part == "train"
            else (mine.eval_file, mine.max_eval)
        )
        return load_questions(
            source,
            part,
            bad_answers=mine.bad_answers,
            empty_answers=mine.empty_answers,
            language=mine.language,
        ).limited(most)

    def settled(self, data: Data, evaluation: Any) -> Data:
        """The language, where it was to be found in the data."""
        return replace(_own(data), language=evaluation.language)

    def notes(self, data: Data, *sets: Any) -> Iterator[str]:
        """What was mended in the data, and the language whose rules the scores follow."""
        yield from filter(None, dict.fromkeys(each.repaired for each in sets))
        found = ""
        if _own(data).language == languages.AUTO:
            known = sets[-1].is_language_known
            found = " (found in the passages)" if known else ", since the passages do not tell it"
        yield f"scores: by the rules of the language {sets[-1].language}{found}"

    def problems(self, build: Build) -> Iterator[str]:
        """Windows that would leave out pieces of a passage."""
        yield from settings.problems(_own(build.data))

    def traits(self, train: Any) -> Traits:
        """Whether some questions have no answer (SQuAD 2.0), so that a model may abstain."""
        return {"may_abstain": train.has_unanswerable}

    def calibrates(self, traits: Traits, evaluation: Any) -> bool:
        """Whether there is a threshold to find: questions with and without answers."""
        return bool(traits["may_abstain"] and evaluation.has_unanswerable)

    def calibrate(
        self,
        model: Model,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        evaluation: Any,
        progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    ) -> Traits:
        """The null threshold with the highest F1: see `best_null_threshold`."""
        mine = _own(data)
        reader = Answerer(model, tokenizer, mine.reading, search=mine.search)
        readings = [reader.read(question) for question in progress(evaluation.questions)]
        threshold = best_null_threshold(readings, evaluation, mine.compare_windows)
        return {"null_threshold": threshold}

    def encoding(self, data: Data) -> Mapping[str, Any]:
        """How questions and passages are cut; which are joined, shortened or made, if any are."""
        mine = _own(data)
        cut = {"max_length": mine.max_length, "stride": mine.stride, "max_query": mine.max_query}
        changed = {
            "joined": mine.joining if mine.joined_share else None,
            "short": mine.short_share,
            "cloze": mine.cloze_questions,
        }
        return cut | {name: value for name, value in changed.items() if value}

    def reading(self, data: Data) -> Any:
        """How they are cut, which spans may be answers, and how windows are searched."""
        mine = _own(data)
        return mine.reading if mine.search == Search() else (mine.reading, mine.search)

    def scoring(self, data: Data) -> str:
        """The language whose rules decide which answers are equal."""
        return _own(data).language

    def features(self, tokenizer: Any, data: Data, train: Any, traits: Traits) -> list[Feature]:
        """Every window of every question with the places of its answer."""
        mine = _own(data)
        return training_features(Windower(tokenizer, mine.limits), _trained_on(mine, train))

    def added(self, data: Data) -> int:
        """The cloze questions."""
        return _own(data).cloze_questions

    def plain(self, data: Data) -> Data:
        """Without cloze questions, which are clumsy, and with whole passages."""
        return replace(_own(data), cloze_questions=0, short_share=0.0)

    def gold(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """`start` and `end`, int64 [B]."""
        import torch

        return {
            "start": torch.tensor([f.start for f in features]),
            "end": torch.tensor([f.end for f in features]),
        }

    def gold_loss(self, logits: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """L_squad: the mean of the cross-entropies of start and end (Devlin et al. 2019)."""
        from pipeline.training import losses

        start, end = logits
        return losses.span_loss(start, end, batch["start"], batch["end"])

    def soft_loss(
        self, logits: Sequence[Tensor], taught: Sequence[Tensor], temperature: float
    ) -> Tensor:
        """L_ce from the teacher's start and end logits (paper, section 4.1)."""
        from pipeline.training import losses

        start, end = logits
        taught_start, taught_end = taught
        return losses.span_distillation_loss((start, end), (taught_start, taught_end), temperature)

    def reader(
        self,
        model: Model,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        *,
        pad_to: int | None = None,
        reuse: bool = True,
    ) -> Answerer:
        """Question and passage in, answer out."""
        return Answerer(
            model,
            tokenizer,
            _own(data).reading,
            pad_to=pad_to,
            may_abstain=traits["may_abstain"],
            null_threshold=traits.get("null_threshold", 0.0),
            reuse=reuse,
            search=_own(data).search,
        )

    def same(self, prediction: Answer, other: Answer) -> bool:
        """Whether two answers have the same words."""
        return prediction.text == other.text

    def score(self, predictions: Sequence[Answer], examples: Any) -> dict[str, float]:
        """F1 and exact match as SQuAD or the language's benchmark has them, in percent."""
        return score([answer.text for answer in predictions], examples)

    def describe(self, data: Data, traits: Traits) -> dict[str, Any]:
        """The limits of windows and answers, and when there is no answer.

        `null_threshold` is there only where it was calibrated; without it, it is 0.  `search` is
        there only where it is not the default.
        """
        mine = _own(data)
        search = {} if mine.search == Search() else {"search": asdict(mine.search)}
        return {"limits": asdict(mine.reading), **search, **traits}

    def golden(self, readers: Mapping[str, Any], evaluation: Any, count: int) -> dict[str, Any]:
        """Questions with ids, logits and answers of each file."""
        from pipeline.tasks.question_answering import golden

        reader = next(iter(readers.values()))
        added = added_text(reader.windower.tokenizer)
        picked = golden.cases(evaluation.questions, count, reader.limits.max_length, added)
        return golden.golden_document(picked, readers)

    def device_files(self, evaluation: Any) -> dict[str, Any]:
        """The questions of a benchmark on a phone."""
        from pipeline.tasks.question_answering.golden import questions_document

        return {"questions.json": questions_document(evaluation)}


def _trained_on(data: settings.QuestionData, train: QuestionSet) -> list[Question]:
    """The questions with longer and shorter passages, and cloze questions after them.

    Shortened passages are not among those that are joined: beside the whole passage they would hold
    its answers a second time.
    """
    longer = join_passages(train.questions, data.joining)
    shorter = shorten(train.questions, data.short_share)
    asked = [
        joined if joined.context != whole.context else short
        for whole, joined, short in zip(train.questions, longer, shorter, strict=True)
    ]
    if data.cloze_questions and languages.detect(train.passages) == languages.ENGLISH:
        asked += cloze_questions(train.passages, data.cloze_questions)
    return asked


def _own(data: Data) -> settings.QuestionData:
    """The data settings of a build for this task, which `settings` makes so."""
    return cast(settings.QuestionData, data)
