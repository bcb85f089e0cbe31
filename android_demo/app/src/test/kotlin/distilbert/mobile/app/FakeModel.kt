// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.os.Looper
import android.text.Spanned
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.Times
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.Candidate
import distilbert.mobile.core.spans.SpanDescription
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

/** Answers a question with the word that its last word begins; counts what is done to it. */
internal open class FakeModel(mayAbstain: Boolean = false) : AnswerModel {
    override val description = SpanDescription.parse(description(mayAbstain), verify = false)
    override val file: ModelFile = description.files.values.first()
    override val runtime = "TensorFlow Lite 2.16.1"
    var asked = 0
    var tested = 0
    var isClosed = false
    var problem: String? = null

    /** Answers to whole questions, which come before the rule above. */
    val known = HashMap<String, String>()

    /** Of every answer. */
    var confidence = 0.9

    /** An answer waits for it. */
    var gate: CountDownLatch? = null

    override fun answer(
        passage: String,
        question: String,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Answer {
        asked++
        while (gate?.await(5, TimeUnit.MILLISECONDS) == false) {
            if (isCancelled()) throw CancellationException()
        }
        if (isCancelled()) throw CancellationException()
        val wanted = known[question] ?: question.trimEnd('?', ' ').substringAfterLast(' ')
        val start = passage.indexOf(wanted).coerceAtLeast(0)
        val end = if (wanted in passage) start + wanted.length else start
        val score = if (wanted in passage) 7.5f else -3.25f
        val guess = if (end == start && !description.mayAbstain) passage.take(4) else null
        val text = guess ?: passage.substring(start, end)
        val last = if (guess == null) end else guess.length
        return Answer(
            text = text,
            start = start,
            end = last,
            score = score,
            windows = 1 + passage.length / 1500,
            tokens = passage.split(' ').size,
            times = times(passage, padTo),
            candidates = listOf(Candidate(text, start, last, score, confidence)),
        )
    }

    /** Milliseconds that grow with the passage, in whole ten-thousandths. */
    protected open fun times(passage: String, padTo: Int?): Times {
        val tokens = padTo ?: passage.split(' ').size
        return Times(0.25, tokens / 8.0, 0.125)
    }

    override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit): SelfTest {
        tested++
        onProgress(1, 2)
        gate?.await()
        if (isCancelled()) throw CancellationException()
        onProgress(2, 2)
        return SelfTest(cases = 2, largestError = 0f, nearTies = 0, problem = problem)
    }

    override fun close() {
        isClosed = true
    }

    private companion object {
        fun description(mayAbstain: Boolean) =
            """
            {"schema_version": 3, "made_by": "a test", "task": "extractive question answering",
             "default": "student-int8.tflite",
             "files": {"int8": {"path": "student-int8.tflite", "bytes": 17500000,
               "sha256": "${"0".repeat(64)}", "min_runtime": {"LiteRT": "1.0.1"}, "faults": {},
               "for": "every phone"}},
             "signature": "answer",
             "inputs": [{"name": "ids", "dtype": "int32", "shape": [1, -1]},
               {"name": "mask", "dtype": "int32", "shape": [1, -1]},
               {"name": "segment_ids", "dtype": "int32", "shape": [1, -1]}],
             "outputs": [{"name": "start_logits", "dtype": "float32", "shape": [1, -1]},
               {"name": "end_logits", "dtype": "float32", "shape": [1, -1]}],
             "lengths": {"default": 384, "min": 1, "max": 512, "static": []},
             "limits": {"max_length": 384, "stride": 128, "max_query": 64, "max_answer": 30,
               "n_best": 20},
             "may_abstain": $mayAbstain,
             "tokenizer": {"type": "wordpiece", "size": 20, "lower_case": true,
               "strip_accents": true, "split_cjk": true, "clean_text": true, "continuation": "##",
               "max_word_characters": 100, "file": "vocab.txt", "sha256": "${"0".repeat(64)}",
               "split_special": false,
               "special": {"pad": {"piece": "[PAD]", "id": 0}, "unknown": {"piece": "[UNK]",
               "id": 1}, "cls": {"piece": "[CLS]", "id": 2}, "sep": {"piece": "[SEP]", "id": 3},
               "mask": {"piece": "[MASK]", "id": 4}}, "added": []},
             "golden": "golden.json"}
            """.trimIndent()
    }
}

/** This test's application. */
internal val app get() = RuntimeEnvironment.getApplication() as DemoApplication

/** Lets the app's thread and the screen's work until [isDone], at most twenty seconds. */
internal fun waitUntil(what: String, isDone: () -> Boolean) {
    val end = System.nanoTime() + 20_000_000_000
    while (true) {
        shadowOf(Looper.getMainLooper()).idle()
        if (isDone()) return
        check(System.nanoTime() < end) { "waited in vain until $what" }
        Thread.sleep(5)
    }
}

/** Lets both threads finish what they have. */
internal fun settle() {
    repeat(3) {
        app.worker.submit {}.get(20, TimeUnit.SECONDS)
        shadowOf(Looper.getMainLooper()).idle()
    }
}

internal fun Activity.textOf(id: Int): String =
    findViewById<android.widget.TextView>(id).text.toString()

/** What is marked in a text, empty if nothing is. */
internal fun Activity.marked(id: Int): String {
    val text = findViewById<android.widget.TextView>(id).text as? Spanned ?: return ""
    val mark = text.getSpans(0, text.length, Highlight::class.java).singleOrNull() ?: return ""
    return text.substring(text.getSpanStart(mark), text.getSpanEnd(mark))
}

internal fun Activity.isShown(id: Int): Boolean = findViewById<android.view.View>(id).isShown
