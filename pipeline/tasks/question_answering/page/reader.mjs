// SPDX-License-Identifier: Apache-2.0
// Text to word pieces, pieces to windows, logits to an answer: the rules of training, in plain
// JavaScript without a page, so that Node can run them against the contract's golden files.
// Offsets count Unicode code points, as Python's do.

// The blocks that Hugging Face's tokenizers take for Chinese, their gap before U+2B920 included.
const CJK = [
  [0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f],
];
const SPACE = /^\p{White_Space}$/u;
const CONTROL = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u;
const PUNCTUATION = /^[\p{P}$+<=>^`|~]$/u;
const MARK = /^\p{Mn}$/u;
// Beside such a character, an added token is no single word.
const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
// The pieces before the passage where the question has none: [CLS] and [SEP].
const WITHOUT_QUESTION = 2;
// How BERT finds its five special pieces.
const USUAL = { special: true, lstrip: false, rstrip: false, single_word: false, normalized: false };

/** Whether cleaning drops a character; tabs and line ends count as spaces instead. */
function isRemoved(character) {
  if (character === "\0" || character === "\ufffd") return true;
  return !"\t\n\r".includes(character) && CONTROL.test(character);
}

/** Whether a character is an ideograph that BERT makes a word of its own. */
function isIdeograph(character) {
  const point = character.codePointAt(0);
  return CJK.some(([first, last]) => point >= first && point <= last);
}

/** BERT's WordPiece tokenizer (Devlin et al. 2019), with the offset of every piece. */
export class WordPiece {
  /**
   * @param {object} description `tokenizer` of model.json.
   * @param {string[]} vocabulary the word pieces in the order of their ids.
   */
  constructor(description, vocabulary) {
    this.description = description;
    const { added, special } = description;
    const beyond = new Set(added.filter((token) => !token.word_piece).map((token) => token.id));
    const pieces = vocabulary.map((piece, id) => [piece, id]).filter(([, id]) => !beyond.has(id));
    this.ids = new Map(pieces);
    this.longest = Math.max(...pieces.map(([piece]) => piece.length));
    const listed = new Set(added.map((token) => token.content));
    const usual = Object.values(special)
      .filter(({ piece }) => !listed.has(piece))
      .map(({ piece, id }) => ({ content: piece, id, ...USUAL }));
    const tokens = [...usual, ...added].map((token) => {
      const points = Array.from(token.content);
      const items = token.normalized ? this.#normalized(asItems(points)) : null;
      const split = description.split_special && token.special;
      return { ...token, isText: split, points: items ? items.map((item) => item.text) : points };
    });
    this.exact = byFirst(tokens.filter((token) => !token.normalized));
    this.normal = byFirst(tokens.filter((token) => token.normalized));
  }

  /**
   * Cuts a text into word pieces.
   *
   * @returns {{ids: number[], offsets: [number, number][]}} for each piece its id, and its first
   *   and past-the-last code point in the text.
   */
  pieces(text) {
    const found = { ids: [], offsets: [] };
    const take = (token, items) => {
      found.ids.push(token.id);
      found.offsets.push([items[0].start, items.at(-1).end]);
    };
    split(asItems(Array.from(text)), this.exact, take, (part) => {
      split(this.#normalized(part), this.normal, take, (words) =>
        this.#plain(words, found),
      );
    });
    return found;
  }

  /** Cuts normalized characters, which hold no added token. */
  #plain(items, found) {
    let word = [];
    const finish = () => {
      if (word.length) this.#word(word, found);
      word = [];
    };
    for (const item of items) {
      if (SPACE.test(item.text)) {
        finish();
      } else if (PUNCTUATION.test(item.text)) {
        finish();
        this.#word([item], found);
      } else {
        word.push(item);
      }
    }
    finish();
  }

  /** Normalized characters, each with the place in the text that it came from. */
  #normalized(source) {
    const { clean_text, split_cjk, strip_accents, lower_case } = this.description;
    let items = [];
    for (const { text: original, start, end } of source) {
      let text = original;
      if (clean_text) {
        if (isRemoved(text)) continue;
        if (SPACE.test(text)) text = " ";
      }
      const item = { text, start, end };
      if (split_cjk && isIdeograph(text)) {
        items.push({ ...item, text: " " }, item, { ...item, text: " " });
      } else {
        items.push(item);
      }
    }
    if (strip_accents) items = withoutMarks(items);
    if (!lower_case) return items;
    return items.flatMap((item) =>
      Array.from(item.text.toLowerCase(), (text) => ({ ...item, text })),
    );
  }

  /** Cuts one word into the longest pieces from its beginning on; one unknown piece if none fit. */
  #word(word, found) {
    const { max_word_characters, continuation, special } = this.description;
    const ids = [];
    const offsets = [];
    let start = word.length > max_word_characters ? -1 : 0;
    while (start >= 0 && start < word.length) {
      const prefix = start ? continuation : "";
      let end = Math.min(word.length, start + this.longest);
      let id;
      for (; end > start; end--) {
        id = this.ids.get(prefix + word.slice(start, end).map((item) => item.text).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) {
        start = -1;
        break;
      }
      ids.push(id);
      offsets.push([word[start].start, word[end - 1].end]);
      start = end;
    }
    if (start < 0) {
      found.ids.push(special.unknown.id);
      found.offsets.push([word[0].start, word.at(-1).end]);
      return;
    }
    found.ids.push(...ids);
    found.offsets.push(...offsets);
  }
}

/** Characters with their places. */
function asItems(points) {
  return points.map((text, at) => ({ text, start: at, end: at + 1 }));
}

/** Tokens by their first character, longer ones first. */
function byFirst(tokens) {
  const found = new Map();
  for (const token of tokens) {
    const [first] = token.points;
    if (!found.has(first)) found.set(first, []);
    found.get(first).push(token);
  }
  for (const list of found.values()) list.sort((a, b) => b.points.length - a.points.length);
  return found;
}

/**
 * Finds the leftmost tokens, of several at one place the longest, as Hugging Face's tokenizers do:
 * a token that is no single word, or is text all the same, hides what begins within it.
 *
 * @param {object[]} items characters.
 * @param {Map} tokens of `byFirst`.
 * @param {function} onToken gets each token with its characters and the blanks that it takes along.
 * @param {function} onText gets each part between two of them.
 */
function split(items, tokens, onToken, onText) {
  const isWord = (at) => at >= 0 && at < items.length && WORD.test(items[at].text);
  const isBlank = (at) => at < items.length && SPACE.test(items[at].text);
  let plain = 0;
  for (let at = 0; at < items.length; ) {
    const token = tokens
      .get(items[at].text)
      ?.find(({ points }) => points.every((point, place) => items[at + place]?.text === point));
    if (!token) {
      at += 1;
      continue;
    }
    const next = at + token.points.length;
    if (!token.isText && !(token.single_word && (isWord(at - 1) || isWord(next)))) {
      let [start, end] = [at, next];
      while (token.lstrip && start > plain && isBlank(start - 1)) start -= 1;
      while (token.rstrip && isBlank(end)) end += 1;
      if (plain < start) onText(items.slice(plain, start));
      onToken(token, items.slice(start, end));
      plain = end;
    }
    at = next;
  }
  if (plain < items.length) onText(items.slice(plain));
}

/**
 * Canonical decomposition (NFD) without the nonspacing marks.
 *
 * A character's first part stands for the next character of the source, and its other parts for the
 * same one.  Parts are counted in their final order, in which marks may have changed places.
 */
function withoutMarks(items) {
  if (items.every((item) => item.text < "\u00c0")) return items;
  const additions = new Map(); // part -> for each time it occurs, whether it is not a first part
  for (const item of items) {
    Array.from(item.text.normalize("NFD"), (part, place) => {
      if (!additions.has(part)) additions.set(part, []);
      additions.get(part).push(place > 0);
    });
  }
  for (const queue of additions.values()) queue.reverse();
  const found = [];
  let next = 0;
  for (const part of items.map((item) => item.text).join("").normalize("NFD")) {
    const from = additions.get(part).pop() ? Math.max(0, next - 1) : next++;
    if (!MARK.test(part)) found.push({ ...items[from], text: part });
  }
  return found;
}

/**
 * Cuts a question and a passage into windows `[CLS] question [SEP] piece of the passage [SEP]`.
 *
 * @param {WordPiece} tokenizer
 * @param {object} limits of model.json: max_length, stride and max_query, in word pieces.
 * @returns {{ids: number[], offsets: [number, number][], first: number}[]} the ids of each window,
 *   the place of each passage piece in the passage, and the position of the first of them.
 */
export function cutWindows(tokenizer, limits, question, passage) {
  const { cls, sep } = tokenizer.description.special;
  const query = tokenizer.pieces(question).ids.slice(0, limits.max_query);
  const head = [cls.id, ...query, sep.id];
  const room = limits.max_length - head.length - 1;
  const { ids, offsets } = tokenizer.pieces(passage);
  const windows = [];
  for (let start = 0; ; start += limits.stride) {
    windows.push({
      ids: [...head, ...ids.slice(start, start + room), sep.id],
      offsets: offsets.slice(start, start + room),
      first: head.length,
    });
    if (start + room >= ids.length) return windows;
  }
}

// BM25's usual constants: how soon more of a piece stops counting, and how much a longer window is
// discounted (Robertson and Zaragoza 2009, section 3).
const SATURATION = 1.2;
const LENGTH_SHARE = 0.75;

/**
 * The windows that have most in common with their question, in the order of the passage: BM25 over
 * word pieces, with the windows as the documents and the question's distinct pieces as the query.
 * Of equal windows the earlier ones are kept.
 *
 * @param {object[]} windows of `cutWindows`.
 * @param {?number} most how many to keep; null or undefined keeps all.
 */
export function shortlist(windows, most) {
  if (!most || windows.length <= most) return windows;
  const query = [...new Set(windows[0].ids.slice(1, windows[0].first - 1))];
  const scores = bm25(query, windows.map(({ ids, first }) => ids.slice(first, -1)));
  const places = Array.from(windows.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  return places.slice(0, most).sort((a, b) => a - b).map((place) => windows[place]);
}

/** BM25 of each document for a query of distinct ids, added up in the order of the query. */
function bm25(query, documents) {
  const counts = documents.map((ids) => {
    const count = new Map(query.map((piece) => [piece, 0]));
    for (const id of ids) if (count.has(id)) count.set(id, count.get(id) + 1);
    return count;
  });
  const mean = documents.reduce((sum, ids) => sum + ids.length, 0) / documents.length;
  return documents.map((ids, number) => {
    const norm = mean ? 1 - LENGTH_SHARE + (LENGTH_SHARE * ids.length) / mean : 1;
    return query.reduce((score, piece) => {
      const found = counts.filter((count) => count.get(piece)).length;
      const often = counts[number].get(piece);
      const rarity = Math.log(1 + (documents.length - found + 0.5) / (found + 0.5));
      return score + (rarity * often * (SATURATION + 1)) / (often + SATURATION * norm);
    }, 0);
  });
}

/** What the scores of a window are reduced by, so that they compare with other windows'. */
function level(rule, window, { start, end }) {
  if (rule === "log-odds") return start[0] + end[0];
  if (rule === "log-probability") return logSumExp(start, window) + logSumExp(end, window);
  if (rule === "logits") return 0;
  throw new Error(`This page cannot compare windows by ${rule}.`);
}

/** Log of the sum of exp over [CLS] and the passage pieces; 0 where one is infinite or NaN. */
function logSumExp(logits, { first, offsets }) {
  const kept = [logits[0], ...logits.slice(first, first + offsets.length)];
  const highest = Math.max(...kept);
  if (!Number.isFinite(highest)) return 0;
  return highest + Math.log(kept.reduce((sum, one) => sum + Math.exp(one - highest), 0));
}

/** Positions of the `count` largest values, ascending; of equal values the earlier ones, NaN last. */
function best(values, count) {
  const places = Array.from(values, (_, place) => place);
  const rank = (one, other) => Number(other > one) - Number(other < one);
  const isNumber = (place) => !Number.isNaN(values[place]);
  places.sort((a, b) => {
    return isNumber(b) - isNumber(a) || rank(values[a], values[b]) || a - b;
  });
  return places.slice(0, count).sort((a, b) => a - b);
}

/**
 * The best span of one window; null without pieces of the passage or of the question, or if a score
 * is no finite number.
 */
function bestSpan(starts, ends, window, limits) {
  const { first, offsets } = window;
  if (first <= WITHOUT_QUESTION) return null;
  const inside = (logits) => best(logits.slice(first, first + offsets.length), limits.n_best);
  let span = null;
  const lasts = inside(ends);
  for (const start of inside(starts)) {
    for (const end of lasts) {
      if (end < start || end - start >= limits.max_answer) continue;
      const score = Math.fround(starts[first + start] + ends[first + end]); // as float32 adds
      if (Number.isNaN(score)) return null;
      if (!span || score > span.score) span = { start, end, score };
    }
  }
  return span && Number.isFinite(span.score) ? span : null;
}

/**
 * The best answer over windows: the highest sum of a start and an end logit, on the scale of the
 * model's rule.
 *
 * @param {object[]} windows that were read, see `shortlist`.
 * @param {{start: Float32Array, end: Float32Array}[]} logits of each window, one for each token.
 * @param {object} model of model.json: `limits`, `may_abstain`, by how many logits [CLS] has to beat
 *   the best span, `null_threshold` (0 if it is absent), and the rule of `search` ("logits" if it is
 *   absent).
 * @returns {{start: number, end: number, score: number}} code points of the passage; an empty span
 *   where the model answers nothing.
 */
export function decode(windows, logits, model) {
  let answer = { start: 0, end: 0, score: -Infinity };
  let nothing = Infinity;
  windows.forEach((window, number) => {
    const { start, end } = logits[number];
    const height = level(model.search?.rule ?? "logits", window, logits[number]);
    const none = Math.fround(start[0] + end[0]) - height;
    if (none < nothing) nothing = none;
    const span = bestSpan(start, end, window, model.limits);
    if (span && span.score - height > answer.score) {
      const [from] = window.offsets[span.start];
      const [, to] = window.offsets[span.end];
      answer = { start: from, end: to, score: span.score - height };
    }
  });
  const threshold = model.null_threshold ?? 0;
  const abstains = model.may_abstain && nothing >= answer.score + threshold;
  if (answer.score === -Infinity || abstains) {
    return { start: 0, end: 0, score: Number.isFinite(nothing) ? nothing : 0 };
  }
  return answer;
}
