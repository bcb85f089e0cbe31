// SPDX-License-Identifier: Apache-2.0
// Answers questions with the question-answering pipeline of transformers.js, offline from a folder.
//
//   node transformers.mjs HUB_FOLDER DTYPE CASES_JSON
//
// Prints JSON: for each case the pipeline's answer and score, and the ids and logits below them.

import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [hub, dtype, casesFile] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(hub));
const answerer = await pipeline("question-answering", basename(resolve(hub)), { dtype });
const results = [];
for (const { question, context } of JSON.parse(readFileSync(casesFile, "utf8"))) {
  const { answer, score } = await answerer(question, context);
  const inputs = answerer.tokenizer(question, { text_pair: context, truncation: true });
  const { start_logits, end_logits } = await answerer.model(inputs);
  results.push({
    answer,
    score,
    ids: Array.from(inputs.input_ids.data, Number),
    start_logits: Array.from(start_logits.data),
    end_logits: Array.from(end_logits.data),
  });
}
console.log(JSON.stringify(results));
