// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.Classifier
import distilbert.mobile.core.classes.GoldenPrediction
import distilbert.mobile.core.classes.GoldenText
import java.util.concurrent.CancellationException

/**
 * Compares golden texts with what is predicted here. A regression has one logit, and two classes
 * may have nearly the same, so errors are shares of the range of all cases' logits.
 *
 * @param file the golden predictions' name of the open file.
 * @param description of the model.
 * @param classifier around the model.
 * @param cases all that will be added.
 * @throws ModelException if the file has no prediction in one of them.
 */
internal class ClassComparison(
    private val file: String,
    private val description: ClassDescription,
    private val classifier: Classifier,
    cases: List<GoldenText>,
) : GoldenComparison<GoldenText>() {
    private val range = range(cases.flatMap { expected(it).logits.asList() }.toFloatArray())

    override fun add(case: GoldenText, isCancelled: () -> Boolean) {
        val expected = expected(case)
        if ((case.pair != null) != description.isPair) {
            throw ModelException("golden.json was made for another model: $COPY_ALL")
        }
        if (isCancelled()) throw CancellationException("the text was taken back")
        val input = classifier.input(case.text, case.pair)
        val logits = classifier.logits(input)
        if (!input.ids.contentEquals(case.ids) || logits.size != expected.logits.size) {
            throw ModelException("golden.json was made with another tokenizer: $COPY_ALL")
        }
        val best = logits.indices.maxBy { logits[it] }
        val label = if (description.isRegression) "" else description.labels[best]
        count(error(expected.logits, logits) / range, label == expected.label)
    }

    private fun expected(case: GoldenText): GoldenPrediction =
        case.predictions[file]
            ?: throw ModelException("golden.json has no answers of $file: $COPY_ALL")
}
