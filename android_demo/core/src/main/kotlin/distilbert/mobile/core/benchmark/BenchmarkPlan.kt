// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

/** A benchmark that cannot run, or not on; the message says why in one line. */
class BenchmarkException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** How long a model's inputs are. */
enum class InputLengths(val label: String) {
    /** Each as long as its window. */
    NATURAL("natural"),

    /** All of one length. */
    PADDED("padded"),
}

/**
 * What a benchmark measures.
 *
 * @property runId names the run in the log and its file.
 * @property lengths the subjects, interleaved.
 * @property runs least number of queries for each subject.
 * @property seconds that all of them take together at least.
 * @property threads of the runtime.
 * @property seed of the queries' order and the subjects'.
 * @property file the model's file; null takes the default of `model.json`.
 * @property padTo length of padded inputs in word pieces; null takes the longest window.
 */
class BenchmarkPlan(
    val runId: String,
    val lengths: List<InputLengths> = InputLengths.entries,
    val runs: Int = VALID_QUERIES,
    val seconds: Int = VALID_SECONDS,
    val threads: Int = DEFAULT_THREADS,
    val seed: Int = 0,
    val file: String? = null,
    val padTo: Int? = null,
) {
    /** The command that starts this run over adb. */
    val command: String =
        listOfNotNull(
            "am start -W -n $ACTIVITY --es $RUN_ID $runId",
            "--es $LENGTHS ${lengths.singleOrNull()?.label ?: BOTH}",
            "--ei $RUNS $runs --ei $SECONDS $seconds --ei $THREADS $threads --ei $SEED $seed",
            file?.let { "--es $FILE ${quoted(it)}" },
            padTo?.let { "--ei $PAD_TO $it" },
        ).joinToString(" ")

    companion object {
        /** What a valid single-stream figure takes (Reddi et al. 2020, section III-D). */
        const val VALID_QUERIES = 1024
        const val VALID_SECONDS = 60
        const val DEFAULT_THREADS = 4
        const val ACTIVITY = "distilbert.mobile.app/.BenchmarkActivity"

        private const val RUN_ID = "run_id"
        private const val LENGTHS = "lengths"
        private const val RUNS = "runs"
        private const val SECONDS = "seconds"
        private const val THREADS = "threads"
        private const val SEED = "seed"
        private const val FILE = "file"
        private const val PAD_TO = "pad_to"
        private const val BOTH = "both"
        private val KNOWN = listOf(RUN_ID, LENGTHS, RUNS, SECONDS, THREADS, SEED, FILE, PAD_TO)

        private const val MOST_RUNS = 1_000_000
        private const val MOST_SECONDS = 24 * 60 * 60
        private const val MOST_THREADS = 64
        private const val LONGEST = 4096
        private val RUN_IDS = Regex("[A-Za-z0-9_-]{1,64}")

        /** Whether [runId] is one: it becomes part of a file's name. */
        fun isRunId(runId: String) = RUN_IDS.matches(runId)

        /**
         * Reads the extras of an intent.
         *
         * @param extras texts and whole numbers by their names.
         * @param defaultId taken where none is given.
         * @throws BenchmarkException if one is unknown or not allowed.
         */
        fun parse(extras: Map<String, Any?>, defaultId: String): BenchmarkPlan {
            (extras.keys - KNOWN.toSet()).firstOrNull()?.let {
                throw BenchmarkException("$it: unknown; known are ${KNOWN.joinToString()}")
            }
            val runId = extras.text(RUN_ID) ?: defaultId
            if (!isRunId(runId)) {
                refuse(RUN_ID, runId, "1 to 64 letters, digits, _ and - are allowed")
            }
            return BenchmarkPlan(
                runId = runId,
                lengths = lengths(extras.text(LENGTHS) ?: BOTH),
                runs = extras.integer(RUNS, 1..MOST_RUNS) ?: VALID_QUERIES,
                seconds = extras.integer(SECONDS, 0..MOST_SECONDS) ?: VALID_SECONDS,
                threads = extras.integer(THREADS, 1..MOST_THREADS) ?: DEFAULT_THREADS,
                seed = extras.integer(SEED, 0..Int.MAX_VALUE) ?: 0,
                file = extras.text(FILE)?.also { requireFile(it) },
                padTo = extras.integer(PAD_TO, 1..LONGEST),
            )
        }

        /** One that lies beside `model.json`; whether it is there shows when it is opened. */
        private fun requireFile(file: String) {
            if (file.isEmpty() || '/' in file) {
                refuse(FILE, file, "give the name of one of model.json's files, without a folder")
            }
        }

        private fun lengths(given: String): List<InputLengths> {
            if (given == BOTH) return InputLengths.entries
            val allowed = InputLengths.entries.map { it.label } + BOTH
            return InputLengths.entries.filter { it.label == given }.ifEmpty {
                refuse(LENGTHS, given, "allowed are ${allowed.joinToString()}")
            }
        }

        private fun Map<String, Any?>.text(name: String): String? {
            if (name !in this) return null
            val value = this[name]
            return value as? String ?: refuse(name, value, "give a text: --es $name TEXT")
        }

        private fun Map<String, Any?>.integer(name: String, allowed: IntRange): Int? {
            if (name !in this) return null
            val value = this[name]
            val number = value as? Int ?: refuse(name, value, "give a number: --ei $name NUMBER")
            if (number in allowed) return number
            refuse(name, number, "${allowed.first} to ${allowed.last} are allowed")
        }

        /** As a shell takes it for one word. */
        private fun quoted(text: String) =
            if (PLAIN.matches(text)) text else "'${text.replace("'", "'\"'\"'")}'"

        private fun refuse(name: String, value: Any?, allowed: String): Nothing {
            val shown = value.toString().take(SHOWN).map { if (it < ' ') ' ' else it }
            throw BenchmarkException("$name: got ${shown.joinToString("")}; $allowed")
        }

        private const val SHOWN = 80
        private val PLAIN = Regex("[A-Za-z0-9._/-]+")
    }
}
