// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.TaskModel

/**
 * Opens files of a folder in turn, the default of `model.json` first, until one of them is right.
 *
 * A file that the folder lacks is passed over, and so is one that this runtime refuses or computes
 * wrong. Whatever else goes wrong would go wrong with the next file too, and is thrown.
 *
 * @param passed which files need no test; the one that passes is added.
 * @param verify whether every file must have the digest that is stated for it. Where it is false,
 *   that digest says nothing about the file: each is tested, and [passed] is neither asked nor added
 *   to.
 * @param open opens the file of that name.
 * @throws ModelException if no file is right; it says why the first one is not.
 */
internal fun <M : TaskModel> firstRight(
    folder: ModelFolder,
    passed: PassedTests,
    verify: Boolean,
    isCancelled: () -> Boolean,
    onProgress: (done: Int, of: Int) -> Unit,
    open: (String) -> M,
): M {
    val description = ModelDescription.parse(folder.text("model.json"), verify)
    val known = passed.takeIf { verify }
    val names = listOf(description.default) + description.files.values.map { it.path }
    val problems = ArrayList<ModelException>()
    for (name in names.distinct()) {
        try {
            return opened(open(name), known, isCancelled, onProgress)
        } catch (error: ModelException) {
            if (error.kind != ErrorKind.RUNTIME && error.kind != ErrorKind.MISSING) throw error
            problems.add(error)
        }
    }
    throw problems.first()
}

/** A [model] that is right, or a closed one and its problem; null for [passed] tests any. */
private fun <M : TaskModel> opened(
    model: M,
    passed: PassedTests?,
    isCancelled: () -> Boolean,
    onProgress: (done: Int, of: Int) -> Unit,
): M {
    var isRight = false
    try {
        if (passed == null || model !in passed) {
            val problem = model.selfTest(isCancelled, onProgress).problem
            if (problem != null) throw ModelException(problem, kind = ErrorKind.RUNTIME)
            passed?.add(model)
        }
        isRight = true
        return model
    } finally {
        if (!isRight) model.close()
    }
}
