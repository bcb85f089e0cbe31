// SPDX-License-Identifier: Apache-2.0
// node sealed.mjs READER FILE...: says of each sealed document whether the page's reader takes it.
// With --insecure before the files, as in a browser on a page that computes no checksums.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The SHA-256 of nothing.
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const [reader, ...rest] = process.argv.slice(2);
const isInsecure = rest[0] === "--insecure";
const files = isInsecure ? rest.slice(1) : rest;
if (isInsecure) Object.defineProperty(globalThis, "crypto", { value: {} });
const { canCheck, checkContent, parseSealed } = await import(pathToFileURL(reader));
const found = { checks: canCheck(), content: await checkContent("a", "", EMPTY) };
for (const file of files) {
  try {
    const { digest, ...rest } = JSON.parse(readFileSync(file, "utf8"));
    const read = await parseSealed(file, readFileSync(file, "utf8"));
    found[file] = JSON.stringify(read) === JSON.stringify(rest) ? "read" : "changed";
  } catch (error) {
    found[file] = error.message;
  }
}
process.stdout.write(JSON.stringify(found));
