// SPDX-License-Identifier: Apache-2.0
// node sealed.mjs READER FILE...: says of each sealed document whether the page's reader takes it.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [reader, ...files] = process.argv.slice(2);
const { parseSealed } = await import(pathToFileURL(reader));
const found = {};
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
