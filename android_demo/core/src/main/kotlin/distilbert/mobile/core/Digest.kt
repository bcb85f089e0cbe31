// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.nio.ByteBuffer
import java.security.MessageDigest

/** SHA-256 of what remains in the buffer, hexadecimal; the buffer's position stays. */
fun ByteBuffer.sha256(): String =
    MessageDigest
        .getInstance("SHA-256")
        .apply { update(duplicate()) }
        .digest()
        .joinToString("") { "%02x".format(it) }
