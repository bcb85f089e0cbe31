// SPDX-License-Identifier: Apache-2.0
// Checks that the files beside the page are those that the build wrote, in plain JavaScript.

/** A document as RFC 8785 writes it: sorted keys, no white space, numbers as this language has them. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

/** Whether this browser computes checksums: none does on a page that is not from https or here. */
export function canCheck() {
  return Boolean(globalThis.crypto?.subtle);
}

/** The SHA-256 of bytes or of a text in UTF-8, in hexadecimal; null where none can be computed. */
export async function sha256(content) {
  if (!canCheck()) return null;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Refuses content whose checksum is not the one that was stated.
 *
 * @returns {Promise<boolean>} whether it was checked: false where no checksum can be computed, which
 *   the page has to say.
 */
export async function checkContent(name, content, stated) {
  const found = await sha256(content);
  if (found === null) return false;
  if (found !== stated) {
    throw new Error(`The file ${name} is damaged or was changed: copy the whole folder again.`);
  }
  return true;
}

/** Reads a document that carries a digest of itself, and refuses one that was changed. */
export async function parseSealed(name, text) {
  const { digest, ...rest } = JSON.parse(text);
  await checkContent(name, canonical(rest), digest);
  return rest;
}
