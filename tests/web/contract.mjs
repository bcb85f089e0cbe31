// SPDX-License-Identifier: Apache-2.0
// Runs the page's reader against the contract's golden files and prints, as JSON, how many cases it
// ran and what differed.  node contract.mjs READER_MJS CONTRACT_FOLDER

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

const [reader, folder] = process.argv.slice(2);
const { WordPiece, cutWindows, decode, shortlist } = await import(pathToFileURL(resolve(reader)).href);
const read = (name) => JSON.parse(gunzipSync(readFileSync(join(folder, name))).toString("utf8"));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Compares every tokenizer of a golden file. */
function compare(name) {
  const { texts, vocabularies, tokenizers } = read(name);
  const result = { cases: 0, differ: [] };
  for (const { name, vocabulary, description, pieces: golden } of tokenizers) {
    const tokenizer = new WordPiece(description, vocabularies[vocabulary]);
    golden.forEach(([ids, offsets], number) => {
      const found = tokenizer.pieces(texts[number]);
      result.cases += 1;
      if (!same(found.ids, ids) || !same(found.offsets.flat(), offsets)) {
        result.differ.push({ tokenizer: name, text: texts[number] });
      }
    });
  }
  return result;
}

const pieces = compare("tokenizer.json.gz");
const added = compare("added.json.gz");
const { vocabularies } = read("tokenizer.json.gz");
const document = read("answers.json.gz");
const tokenizer = new WordPiece(document.tokenizer, vocabularies.uncased);
const answers = { cases: 0, differ: [] };
for (const golden of document.cases) {
  const limits = document.limits[golden.limits];
  const windows = cutWindows(tokenizer, limits, golden.question, golden.context);
  const logits = golden.windows.map((window) => ({
    start: Float32Array.from(window.start_logits),
    end: Float32Array.from(window.end_logits),
  }));
  const flat = windows.map(({ ids, offsets, first }) => ({ ids, first, offsets: offsets.flat() }));
  const expected = golden.windows.map(({ ids, first, offsets }) => ({ ids, first, offsets }));
  const model = { limits, may_abstain: golden.may_abstain };
  const { start, end, score } = decode(windows, logits, model);
  const text = Array.from(golden.context).slice(start, end).join("");
  answers.cases += 1;
  if (!same(flat, expected) || !same({ text, start, end, score }, golden.answer)) {
    answers.differ.push({ question: golden.question.slice(0, 80), text, start, end, score });
  }
}

const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const number = (value) => (typeof value === "string" ? NUMBERS[value] : value);
const EQUAL = 1e-9; // libraries of exp and log differ in the last digits
const searched = read("search.json.gz");
const search = { cases: 0, differ: [] };
for (const golden of searched.cases) {
  const limits = searched.limits[golden.limits];
  const windows = cutWindows(tokenizer, limits, golden.question, golden.context);
  const found = shortlist(windows, golden.search.max_windows);
  const kept = golden.read.map((place) => windows[place]);
  const logits = golden.logits.map((pair) => {
    const [start, end] = pair.map((values) => Float32Array.from(values, number));
    return { start, end };
  });
  const { start, end, score } = decode(kept, logits, { ...golden, limits });
  const expected = number(golden.answer.score);
  const isEqual =
    windows.length === golden.window_count &&
    found.length === kept.length &&
    found.every((window, place) => window === kept[place]) &&
    same([start, end], [golden.answer.start, golden.answer.end]) &&
    (score === expected || Math.abs(score - expected) < EQUAL);
  search.cases += 1;
  if (!isEqual) search.differ.push({ question: golden.question.slice(0, 80), start, end, score });
}
console.log(JSON.stringify({ pieces, added, answers, search }));
