/**
 * What S3 checks of a request's signature, version 4, written from its description alone:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */

import { createHash, createHmac } from "node:crypto";

/** A request as it came over the wire. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, undecoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** What was signed, if the signature is right. */
export interface Verified {
  readonly kind: "header" | "url";
  readonly signedHeaders: readonly string[];
}

/** Checks a signature. @throws when it is wrong, and says in what */
export function verifySignature(request: SignedRequest, secret: string, now: number): Verified {
  const url = new URL(request.target, "http://none");
  const isUrl = url.searchParams.has("X-Amz-Signature");
  const fields = isUrl ? urlFields(url.searchParams) : headerFields(request.headers);
  const { credential, signedHeaders, signature, date } = fields;
  const scope = credential.split("/").slice(1);
  const [day = "", region = "", service = "", end = ""] = scope;
  if (service !== "s3" || end !== "aws4_request" || !date.startsWith(day)) {
    throw new Error(`scope ${scope.join("/")} at ${date}`);
  }
  const at = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5"));
  const lateMs = isUrl ? Number(url.searchParams.get("X-Amz-Expires")) * 1000 : 900_000;
  if (!(now <= at + lateMs && now >= at - 900_000)) throw new Error(`${date} is not now`);
  const names = signedHeaders.split(";");
  if (!names.includes("host")) throw new Error("host is not signed");
  for (const name of Object.keys(request.headers)) {
    if (/^x-amz-/.test(name) && !names.includes(name)) throw new Error(`${name} is not signed`);
  }
  const canonical = [
    request.method,
    // S3 takes the path as it came; each byte but the unreserved ones is encoded once.
    encodePath(url.pathname),
    canonicalQuery(url.searchParams),
    ...names.map((name) => `${name}:${(request.headers[name] ?? "").trim()}`),
    "",
    signedHeaders,
    request.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD",
  ].join("\n");
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), digest].join("\n");
  const hmac = (key: string | Uint8Array, part: string) =>
    createHmac("sha256", key).update(part).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), end);
  if (hmac(key, text).toString("hex") !== signature) throw new Error(`not over\n${canonical}`);
  return { kind: isUrl ? "url" : "header", signedHeaders: names };
}

interface Fields {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  readonly date: string;
}

function urlFields(query: URLSearchParams): Fields {
  return {
    credential: query.get("X-Amz-Credential") ?? "",
    signedHeaders: query.get("X-Amz-SignedHeaders") ?? "",
    signature: query.get("X-Amz-Signature") ?? "",
    date: query.get("X-Amz-Date") ?? "",
  };
}

function headerFields(headers: SignedRequest["headers"]): Fields {
  const [, credential = "", signedHeaders = "", signature = ""] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
      .exec(headers["authorization"] ?? "") ?? [];
  return { credential, signedHeaders, signature, date: headers["x-amz-date"] ?? "" };
}

function encode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodePath(path: string): string {
  return path.split("/").map((part) => encode(decodeURIComponent(part))).join("/");
}

function canonicalQuery(query: URLSearchParams): string {
  return [...query].filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join("&");
}
