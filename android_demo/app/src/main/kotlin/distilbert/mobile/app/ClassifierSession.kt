// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import java.util.concurrent.Executor

/** A text, and the second one for a model of pairs; others do not read it. */
internal data class Texts(val text: String, val pair: String)

/** One screen's text that is classified. */
internal class ClassifierSession(
    models: ModelKeeper<ClassModel>,
    worker: Executor,
    main: Executor,
) : QuerySession<ClassModel, Texts, Classification>(models, worker, main) {
    override fun problem(query: Texts): Message? =
        if (query.text.isBlank()) Message(R.string.no_text) else null

    override fun result(
        model: ClassModel,
        query: Texts,
        isCancelled: () -> Boolean,
    ): Classification {
        val pair = query.pair.takeIf { model.description.isPair }
        return model.classify(query.text, pair, isCancelled = isCancelled)
    }
}
