/** Where blobs lie in an S3 bucket, and the setting that says it. */

import { Buffer } from "node:buffer";
import { splitLedger } from "../../protocol/model.ts";
import type { BlobKey } from "./blob_store.ts";

/** A bucket, and who may use it. */
export interface S3Place {
  /** Base URL of the server, `http:` or `https:`. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /**
   * Base URL at which clients reach the server, when they may send requests to it themselves.
   *
   * @default they may not
   */
  readonly clientEndpoint?: string | undefined;
  /** Leads every object key, without `/` at its ends; empty for none. @default "" */
  readonly prefix?: string | undefined;
  /** Whether the bucket stands in the path; else in front of the host's name. @default true */
  readonly pathStyle?: boolean | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Belongs to temporary credentials. */
  readonly sessionToken?: string | undefined;
}

/** The key of a blob's object: `prefix/tenant/ledger/store/cid/digest`. */
export function objectKeyOf({ prefix = "" }: S3Place, key: BlobKey): string {
  const { ledger, store, cid, digest } = key;
  const names = [...splitLedger(ledger), store, cid, Buffer.from(digest).toString("hex")];
  return [...(prefix === "" ? [] : [prefix]), ...names].join("/");
}

/**
 * The URL of an object; of the bucket itself without a key.
 *
 * @throws {RangeError} when a part of the key is empty, `.` or `..`, which URLs drop
 */
export function urlOf(place: S3Place, objectKey?: string): URL {
  const { endpoint, bucket, pathStyle = true } = place;
  const url = new URL(endpoint);
  const names = objectKey === undefined ? [] : objectKey.split("/");
  if (names.some((name) => /^\.{0,2}$/.test(name))) {
    throw new RangeError("Cannot write an object key as URL: a part is empty, . or ..");
  }
  if (!pathStyle) url.hostname = `${bucket}.${url.hostname}`;
  const path = [...(pathStyle ? [bucket] : []), ...names].map(encodeURIComponent);
  url.pathname = [url.pathname.replace(/\/+$/, ""), ...path].join("/");
  return url;
}

/** Parameters that {@linkcode parseS3Url} knows. */
const parameters = ["endpoint", "region", "path-style", "direct"];

/**
 * Reads a setting like `s3://BUCKET/PREFIX?endpoint=http://127.0.0.1:9000&region=us-east-1`.
 *
 * Without `endpoint` it is that of AWS in the region; without `region`, `AWS_REGION` or
 * `AWS_DEFAULT_REGION`. `path-style` is `true` or `false`; by default the bucket stands in the path
 * of any endpoint but AWS. `direct` is `false`, `true` when clients may send requests to the endpoint
 * themselves, or the base URL at which they reach it. Credentials are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for
 * temporary ones, `AWS_SESSION_TOKEN`.
 *
 * @throws {TypeError} naming all that is missing or wrong, and no value of it
 */
export function parseS3Url(text: string, env: (name: string) => string | undefined): S3Place {
  const [, bucket = "", path = "", search = ""] =
    /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{2,254})(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text) ?? [];
  if (bucket === "") {
    throw new TypeError("Cannot use the S3 setting: it is not of the form s3://BUCKET/PREFIX?…");
  }
  const query = new URLSearchParams(search);
  const wrong = [...query.keys()].filter((name) => !parameters.includes(name))
    .map(() => `it has a parameter besides ${parameters.join(", ")}`);
  const must = (value: string | undefined, lack: string): string => {
    if (!value) wrong.push(lack);
    return value ?? "";
  };
  const region = must(
    query.get("region") || env("AWS_REGION") || env("AWS_DEFAULT_REGION"),
    "neither its parameter region nor AWS_REGION is set",
  );
  const accessKeyId = must(env("AWS_ACCESS_KEY_ID"), "AWS_ACCESS_KEY_ID is not set");
  const secretAccessKey = must(env("AWS_SECRET_ACCESS_KEY"), "AWS_SECRET_ACCESS_KEY is not set");
  const ownEndpoint = query.get("endpoint");
  if (ownEndpoint !== null && !isEndpoint(ownEndpoint)) {
    wrong.push("its endpoint is no http: or https: URL without credentials and query");
  }
  if (!/^[a-z0-9-]*$/.test(region)) wrong.push("its region is none");
  const pathStyle = query.get("path-style") ?? String(ownEndpoint !== null);
  if (!/^(true|false)$/.test(pathStyle)) wrong.push("its path-style is neither true nor false");
  const endpoint = ownEndpoint ?? `https://s3.${region}.amazonaws.com`;
  const direct = query.get("direct") ?? "false";
  if (!/^(true|false)$/.test(direct) && !isEndpoint(direct)) {
    wrong.push("its direct is neither true, false nor a URL as endpoint is");
  }
  const prefix = decodePrefix(path);
  if (prefix === undefined) {
    wrong.push("its prefix has a part that is empty, . or .., or is too long");
  }
  if (wrong.length > 0) throw new TypeError(`Cannot use the S3 setting: ${wrong.join("; ")}`);
  return {
    endpoint,
    clientEndpoint: direct === "false" ? undefined : direct === "true" ? endpoint : direct,
    region,
    bucket,
    prefix,
    pathStyle: pathStyle === "true",
    accessKeyId,
    secretAccessKey,
    sessionToken: env("AWS_SESSION_TOKEN") || undefined,
  };
}

function isEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" &&
    url.password === "" && url.search === "" && url.hash === "";
}

/** Keys of S3 have 1024 bytes; those of blobs need up to 270 behind the prefix. */
const maxPrefixBytes = 512;

/** Without the `/` at its ends; nothing when it cannot lead object keys. */
function decodePrefix(path: string): string | undefined {
  const trimmed = path.replace(/^\/+|\/+$/g, "");
  if (trimmed === "") return "";
  try {
    const prefix = decodeURIComponent(trimmed);
    const isFine = prefix.split("/").every((name) => !/^\.{0,2}$/.test(name)) &&
      Buffer.byteLength(prefix) <= maxPrefixBytes;
    return isFine ? prefix : undefined;
  } catch {
    return undefined; // A stray `%`.
  }
}
