// SPDX-License-Identifier: Apache-2.0
// Classifies texts with the text-classification pipeline of transformers.js, offline from a folder.
//
//   node classes.mjs HUB_FOLDER DTYPE TEXTS_JSON
//
// Prints JSON: for each text the pipeline's labels and scores, the best first, and the ids and
// logits below them.

import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [hub, dtype, textsFile] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(hub));
const classifier = await pipeline("text-classification", basename(resolve(hub)), { dtype });
const results = [];
for (const text of JSON.parse(readFileSync(textsFile, "utf8"))) {
  const classes = await classifier(text, { top_k: null });
  const inputs = classifier.tokenizer(text, { truncation: true });
  const { logits } = await classifier.model(inputs);
  results.push({
    classes,
    ids: Array.from(inputs.input_ids.data, Number),
    logits: Array.from(logits.data),
  });
}
console.log(JSON.stringify(results));
