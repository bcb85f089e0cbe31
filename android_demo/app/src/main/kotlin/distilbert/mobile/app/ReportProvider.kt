// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import distilbert.mobile.core.benchmark.BenchmarkException
import java.io.File
import java.io.FileNotFoundException

/**
 * Hands a benchmark's report to the app that the user shares it with, for reading, and nothing
 * else: it is not exported, each share grants one file, and names are checked.
 */
class ReportProvider : ContentProvider() {
    override fun onCreate() = true

    override fun getType(uri: Uri): String = TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("$uri can only be read")
        val file = find(uri) ?: throw FileNotFoundException("$uri is no report")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(
        uri: Uri,
        projection: Array<out String>?,
        selection: String?,
        selectionArgs: Array<out String>?,
        sortOrder: String?,
    ): Cursor {
        val columns = projection ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        val found = MatrixCursor(columns)
        val file = find(uri) ?: return found
        found.addRow(
            columns.map {
                when (it) {
                    OpenableColumns.DISPLAY_NAME -> file.name
                    OpenableColumns.SIZE -> file.length()
                    else -> null
                }
            },
        )
        return found
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = refuse(uri)

    override fun update(
        uri: Uri,
        values: ContentValues?,
        selection: String?,
        selectionArgs: Array<out String>?,
    ): Int = refuse(uri)

    override fun delete(uri: Uri, selection: String?, selectionArgs: Array<out String>?): Int =
        refuse(uri)

    private fun find(uri: Uri): File? {
        val name = uri.pathSegments.singleOrNull() ?: return null
        return try {
            BenchmarkFiles.of(requireNotNull(context)).find(name)
        } catch (_: BenchmarkException) {
            null
        }
    }

    private fun refuse(uri: Uri): Nothing =
        throw UnsupportedOperationException("$uri can only be read")

    companion object {
        /** What a report is. */
        const val TYPE = "application/json"

        /** Where [file] can be read once it is granted. */
        fun uri(context: Context, file: File): Uri =
            Uri
                .Builder()
                .scheme("content")
                .authority("${context.packageName}.reports")
                .appendPath(file.name)
                .build()
    }
}
