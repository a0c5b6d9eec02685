/**
 * The short texts that come again and again: keys of maps, names of methods. Each is made once and
 * found by its bytes, which costs a third of decoding it, and no memory.
 */

/** Longest word: the longest key of a map. */
const maxWordBytes = 32;
/** Where words lie by their hash. A new one takes the place of another, so there are never more. */
const words: string[] = Array.from({ length: 512 }, () => "");

/** The word of these bytes, if it is known. */
export function findWord(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > maxWordBytes) return undefined;
  const word = words[slotOf(bytes, start, end)] ?? "";
  if (word.length !== end - start) return undefined;
  for (let index = 0; index < word.length; index++) {
    if (word.charCodeAt(index) !== bytes[start + index]) return undefined;
  }
  return word;
}

/** Remembers what the bytes were decoded to. */
export function keepWord(text: string, bytes: Uint8Array, start: number, end: number): void {
  // Of ASCII alone letters and bytes are the same numbers; other text has fewer letters than bytes.
  if (end - start > maxWordBytes || text.length !== end - start) return;
  // The text as the name of a property is what V8 finds properties by without looking it up again.
  words[slotOf(bytes, start, end)] = Object.keys({ [text]: text })[0] ?? text;
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = Math.imul(hash, 31) + (bytes[at] ?? 0);
  return (hash ^ hash >>> 9) & (words.length - 1);
}
