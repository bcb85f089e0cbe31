// SPDX-License-Identifier: Apache-2.0
// The page: loads the model on the first question, answers, and marks the answer in the passage.

import { WordPiece, cutWindows, decode, shortlist } from "./reader.mjs";
import { canCheck, checkContent, parseSealed } from "./sealed.mjs";

const element = (id) => document.getElementById(id);
const settings = JSON.parse(element("settings").textContent);
const MEGABYTE = 1e6;
const NO_ANSWER = "The model finds no answer in this passage.";
const EXAMPLES = 3;
// Characters of an example's passage: the golden cases' unusual texts, which test a tokenizer, are
// shorter, and a longer one hides the form on a phone.
const SHORTEST_EXAMPLE = 200;
const LONGEST_EXAMPLE = 1500;
// A result that begins below this share of the window is scrolled to.
const IN_SIGHT = 0.6;

const form = element("form");
const passage = element("passage");
const question = element("question");
const submit = element("submit");
const status = element("status");
const progress = element("progress");

let library; // transformers.js with its runtime, once it is loaded
let description; // model.json and the tokenizer, once they are loaded
let model = { file: null, run: null };
let running = null; // the question in progress

/** Reads a file of the page's folder. */
async function read(path, kind) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`The file ${path} cannot be loaded (HTTP ${response.status}).`);
  return response[kind]();
}

/** model.json with a tokenizer made from it and the vocabulary. */
async function describe() {
  const about = await parseSealed("model.json", await read("onnx/model.json", "text"));
  const { file, sha256 } = about.tokenizer;
  const bytes = await read(`onnx/${file}`, "arrayBuffer");
  await checkContent(file, bytes, sha256);
  const vocabulary = new TextDecoder().decode(bytes).replace(/\n$/, "").split("\n");
  return { ...about, wordPiece: new WordPiece(about.tokenizer, vocabulary) };
}

/** Says what is going on, with a bar where a share of it is known. */
function say(text, share) {
  status.textContent = text;
  progress.hidden = share === undefined;
  if (share !== undefined) progress.value = share;
}

/**
 * Loads transformers.js and the runtime, whose contents must have the checksums in this page.
 *
 * The model comes from the page's own folder.  Only the browser's own cache keeps it: it notices
 * when a build has changed the file.
 */
async function loadLibrary() {
  const { url, integrity, bytes } = settings.runtime;
  say(`The page loads the runtime, ${megabytes(bytes)}.`);
  let binary;
  let loaded;
  try {
    loaded = await import("@huggingface/transformers");
    const response = await fetch(url, { integrity, mode: "cors", credentials: "omit" });
    binary = await response.arrayBuffer();
  } catch (error) {
    console.error(error);
    const host = new URL(url).host;
    throw new Error(
      `The page cannot load its libraries from ${host}, or they are not the ones that it names.`,
    );
  }
  const { env } = loaded;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = new URL(".", document.baseURI).href;
  env.fetch = loadChecked;
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.wasmPaths = undefined; // the module brings its own half of the runtime
  env.backends.onnx.wasm.wasmBinary = binary;
  env.backends.onnx.wasm.numThreads = 1; // more threads need headers that a plain server lacks
  return loaded;
}

/** Reads a model's file, shows how far it is, and refuses content that is not the build's. */
async function loadChecked(address, options) {
  const response = await fetch(address, options);
  const name = new URL(address, document.baseURI).pathname.split("/").at(-1);
  const file = settings.files.find((each) => each.name === name);
  if (!file || !response.ok) return response;
  const parts = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    loaded += value.length;
    progress.value = loaded / file.bytes;
  }
  const content = await new Blob(parts).arrayBuffer();
  await checkContent(name, content, file.sha256);
  return new Response(content, { headers: { "Content-Length": `${loaded}` } });
}

/** Loads the chosen file, unless it is loaded. */
async function loadModel() {
  description ??= await describe();
  library ??= await loadLibrary();
  const file = settings.files[Number(element("file").value)];
  if (model.file === file) return;
  say(`The page loads the model, ${megabytes(file.bytes)}.`, 0);
  await model.run?.dispose();
  model = { file: null, run: null };
  const run = await library.AutoModelForQuestionAnswering.from_pretrained(".", {
    dtype: file.dtype,
    device: "wasm",
  });
  model = { file, run };
}

/** Start and end logits of one window, float32 for each token. */
async function infer({ ids, first }) {
  const row = (values) => {
    return new library.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
  };
  const output = await model.run({
    input_ids: row(ids),
    attention_mask: row(ids.map(() => 1)),
    token_type_ids: row(ids.map((_, place) => Number(place >= first))), // for a BERT; unread else
  });
  return { start: output.start_logits.data, end: output.end_logits.data };
}

/** Answers the question in the form, or stops before the next window if the request says so. */
async function answer(request) {
  const text = passage.value;
  await loadModel();
  const { wordPiece, limits, search } = description;
  say("The model reads the passage.");
  await nextFrame();
  const begun = performance.now();
  const asked = wordPiece.pieces(question.value).ids.length;
  const all = cutWindows(wordPiece, limits, question.value, text);
  const windows = shortlist(all, search?.max_windows);
  const logits = [];
  for (const window of windows) {
    if (windows.length > 1) {
      const done = logits.length;
      say(`The model reads part ${done + 1} of ${windows.length}.`, done / windows.length);
      await nextFrame();
    }
    if (request.stopped) return;
    logits.push(await infer(window));
  }
  const found = decode(windows, logits, description);
  show(text, found, windows.length, performance.now() - begun, asked > limits.max_query);
}

/** Shows an answer, and the passage with the answer marked. */
function show(text, { start, end, score }, windows, milliseconds, cut) {
  const points = Array.from(text);
  const words = points.slice(start, end).join("");
  element("answer").textContent = words || NO_ANSWER;
  element("answer").classList.toggle("none", !words);
  element("score").textContent = score.toFixed(2);
  element("scale").hidden = (description.search?.rule ?? "logits") === "logits";
  element("time").textContent = duration(milliseconds);
  element("windows").textContent = windows.toLocaleString("en");
  const marked = element("marked");
  marked.replaceChildren(points.slice(0, start).join(""));
  if (words) {
    const mark = document.createElement("mark");
    mark.textContent = words;
    marked.append(mark, points.slice(end).join(""));
  }
  element("cut").hidden = !cut;
  const result = element("result");
  Object.assign(result.dataset, { start, end, score });
  result.hidden = false;
  say(`The model answered in ${duration(milliseconds)}.`);
  element("spoken").textContent = words ? `The answer is: ${words}` : NO_ANSWER;
  const mark = marked.querySelector("mark");
  marked.scrollTop = mark ? mark.offsetTop - marked.clientHeight / 3 : 0;
  if (result.getBoundingClientRect().top > IN_SIGHT * innerHeight) result.scrollIntoView();
}

function megabytes(bytes) {
  return `${(bytes / MEGABYTE).toFixed(bytes < 10 * MEGABYTE ? 1 : 0)} MB`;
}

function duration(milliseconds) {
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Lets the browser draw. */
function nextFrame() {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Shows an error in place of an answer. */
function fail(text) {
  const alert = element("error");
  alert.textContent = text;
  alert.hidden = !text;
  if (text) say("");
}

/** Offers questions of the golden cases, of different passages first, and fills in the first. */
async function offerExamples() {
  const { cases } = await parseSealed("golden.json", await read("onnx/golden.json", "text"));
  const fit = cases.filter(({ context }) => {
    return context.length >= SHORTEST_EXAMPLE && context.length <= LONGEST_EXAMPLE;
  });
  const firsts = fit.filter((one, place) => {
    return fit.findIndex(({ context }) => context === one.context) === place;
  });
  const examples = [...new Set([...firsts, ...fit])].slice(0, EXAMPLES);
  for (const example of examples) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = example.question;
    button.addEventListener("click", () => {
      fill(example);
      question.focus();
    });
    element("examples").append(button);
  }
  element("offer").hidden = !examples.length;
  if (examples.length && !passage.value && !question.value) fill(examples[0]);
}

function fill(example) {
  passage.value = example.context;
  question.value = example.question;
  count();
}

/** Says what the first question costs, in bytes. */
function announce() {
  if (model.file || running) return;
  const { bytes } = settings.files[Number(element("file").value)];
  const all = megabytes(bytes + settings.runtime.bytes);
  say(`When you ask the first question, the page loads the model and its runtime, ${all}.`);
}

function count() {
  const words = passage.value.split(/\s+/u).filter(Boolean).length;
  element("count").textContent = `${words.toLocaleString("en")} word${words === 1 ? "" : "s"}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running) {
    running.stopped = true;
    submit.disabled = true;
    return;
  }
  fail("");
  element("result").hidden = true;
  element("spoken").textContent = "";
  const missing = [passage, question].find((field) => !field.value.trim());
  if (missing) {
    fail(`Please enter a ${missing.id}.`);
    missing.focus();
    return;
  }
  running = { stopped: false };
  submit.textContent = "Stop";
  form.setAttribute("aria-busy", "true");
  status.scrollIntoView({ block: "nearest" });
  try {
    await answer(running);
    if (running.stopped) say("You stopped the model before it had read the whole passage.");
  } catch (error) {
    console.error(error);
    fail(`${error.message ?? error}`);
  } finally {
    running = null;
    submit.textContent = "Find the answer";
    submit.disabled = false;
    form.removeAttribute("aria-busy");
  }
});

question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  if (!running) form.requestSubmit();
});
passage.addEventListener("input", count);
settings.files.forEach(({ label, bytes }, place) => {
  element("file").add(new Option(`${label}, ${megabytes(bytes)}`, place));
});
element("file").addEventListener("change", announce);
element("unchecked").hidden = canCheck();
count();
submit.disabled = false;
announce();
if (location.protocol === "file:") {
  submit.disabled = true;
  fail(
    "A browser does not let a page read files from a disk. Run `python -m http.server` in this " +
      "folder, and open http://localhost:8000.",
  );
} else {
  offerExamples().catch(console.warn); // the page works without them
}
