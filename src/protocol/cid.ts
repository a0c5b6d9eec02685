/** The one spelling of a content identifier that Hearth accepts: CIDv1, base32 lower case, sha2-256. */

import { equalBytes } from "../base/bytes.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
const noValue = 0xff;
const sha256Code = 0x12;
const digestLength = 32;
/** One byte of version, at most three of codec, two of multihash head, the digest. */
const maxLength = 1 + Math.ceil((1 + 3 + 2 + digestLength) * 8 / 5);

/** A content identifier taken apart (https://github.com/multiformats/cid). */
export interface ParsedCid {
  /** Multicodec of the content, e.g. 0x71 for dag-cbor. */
  readonly codec: number;
  /** The 32 bytes of sha2-256. */
  readonly digest: Uint8Array;
}

/**
 * Reads a CID; nothing when it is not one, or is one in another spelling. One spelling only, since
 * otherwise one blob would have several names; sha2-256 only, since an identity hash would carry
 * data in the name.
 */
export function parseCid(text: string): ParsedCid | undefined {
  const head = readHead(text);
  return head &&
    { codec: head.codec, digest: scratch.slice(head.length, head.length + digestLength) };
}

/** Whether a text is a CID that Hearth accepts. */
export function isCid(text: string): boolean {
  return readHead(text) !== undefined;
}

/** Whether a text is the CID of content with this digest. */
export function namesDigest(text: string, digest: Uint8Array): boolean {
  const head = readHead(text);
  return head !== undefined &&
    equalBytes(digest, scratch.subarray(head.length, head.length + digestLength));
}

/** Reads a CID into `scratch`; gives its codec, and how many bytes are before its digest. */
function readHead(text: string): { readonly codec: number; readonly length: number } | undefined {
  const length = readBase32(text);
  if (length === undefined || scratch[0] !== 1) return undefined;
  const codec = readVarint(scratch, 1);
  if (!codec) return undefined;
  const head = codec.next;
  if (scratch[head] !== sha256Code || scratch[head + 1] !== digestLength) return undefined;
  return length === head + 2 + digestLength ? { codec: codec.value, length: head + 2 } : undefined;
}

/** Writes the CID of content with this codec and sha2-256 digest. */
export function formatCid(codec: number, digest: Uint8Array): string {
  const head = [1];
  for (let rest = codec;; rest >>>= 7) {
    if (rest < 0x80) {
      head.push(rest);
      break;
    }
    head.push((rest & 0x7f) | 0x80);
  }
  return toBase32(new Uint8Array([...head, sha256Code, digest.length, ...digest]));
}

function readVarint(bytes: Uint8Array, at: number): { value: number; next: number } | undefined {
  let value = 0;
  for (let index = 0; index < 3; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    value |= (byte & 0x7f) << (7 * index);
    // A last byte of zero after others would be a second spelling of a shorter number.
    if (byte < 0x80) return index > 0 && byte === 0 ? undefined : { value, next: at + index + 1 };
  }
  return undefined;
}

/** RFC 4648 base32 without padding, multibase prefix `b`. */
function toBase32(bytes: Uint8Array): string {
  let text = "b";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >>> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(buffer << (5 - bits)) & 31] : text;
}

/** What each character code stands for; a table, since each commit has a dozen CIDs to read. */
const values = Uint8Array.from({ length: 128 }, (_, code) => {
  const at = alphabet.indexOf(String.fromCharCode(code));
  return at < 0 ? noValue : at;
});

/**
 * Where the bytes of a CID are put while it is looked at: an array for each costs Deno more than all
 * the rest.
 */
const scratch = new Uint8Array(Math.floor((maxLength - 1) * 5 / 8));

/** Reads a text into `scratch`; gives how many bytes it is. */
function readBase32(text: string): number | undefined {
  if (text[0] !== "b" || text.length > maxLength) return undefined;
  let buffer = 0;
  let bits = 0;
  let at = 0;
  for (let index = 1; index < text.length; index++) {
    const value = values[text.charCodeAt(index)] ?? noValue;
    if (value === noValue) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      scratch[at++] = buffer >>> bits;
      buffer &= (1 << bits) - 1;
    }
  }
  // Left-over bits must be zero and fewer than a character, or two texts would name one CID.
  return bits < 5 && buffer === 0 ? at : undefined;
}
