/**
 * A gate in front of an S3 server that is as strict as S3 itself where that server is not
 * (signatures, checksums, `If-None-Match`, aborted uploads), tells the checksums of objects as S3
 * does, and fails on demand.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type ServerResponse,
} from "node:http";
import { verifySignature } from "./s3_signature.ts";

/** What a request is, as the gate saw it. */
export interface Seen {
  /** S3's name of it, like `PutObject`. */
  readonly action: string;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: number;
}

/**
 * What becomes of one request:
 * - `status`: it is answered so, and does not reach the server;
 * - `reset`: it reaches the server, and the connection ends with a reset in place of the answer;
 * - `silent`: it is never answered;
 * - `cut`: so many bytes of the answer's body come, then the connection ends;
 * - `stall`: so many bytes of the answer's body come, then nothing;
 * - `replace`: the answer's body is replaced, of the same length.
 */
export type Fault =
  | {
    readonly kind: "status";
    readonly status: number;
    readonly code?: string;
    readonly headers?: Readonly<Record<string, string>>;
    /** Of an answer that is no error. */
    readonly body?: string;
  }
  | { readonly kind: "reset" | "silent" }
  | { readonly kind: "cut" | "stall"; readonly bytes: number }
  | { readonly kind: "replace"; readonly with: number };

/** Says what becomes of a request; nothing: it passes. */
export type FaultPlan = (seen: Seen) => Fault | undefined;

/** A running gate. */
export interface S3Gate extends AsyncDisposable {
  readonly url: string;
  /** All requests so far. */
  readonly seen: readonly Seen[];
  /** S3's names of them. */
  readonly actions: readonly string[];
  /** Uploads in parts that were begun and neither completed nor aborted. */
  readonly openUploads: ReadonlySet<string>;
  /** Most requests that were being answered at once. */
  readonly mostAtOnce: number;
  /** Says what becomes of each request from now on. */
  set(plan: FaultPlan): void;
  /** Forgets what it saw. */
  forget(): void;
}

/** Options of {@linkcode startS3Gate}. */
export interface S3GateOptions {
  /** Port of the server behind, on the loopback address. */
  readonly target: number;
  readonly secretAccessKey: string;
  /** Whether it tells the checksum of an object, as some servers do not. @default true */
  readonly tellsChecksums?: boolean;
}

/** Starts a gate. */
export async function startS3Gate(options: S3GateOptions): Promise<S3Gate> {
  const gate = new Gate(options);
  await gate.listen();
  return gate;
}

interface Reply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array;
}

class Gate implements S3Gate {
  readonly #options: S3GateOptions;
  readonly #server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
  #plan: FaultPlan = () => undefined;
  #seen: Seen[] = [];
  #atOnce = 0;
  mostAtOnce = 0;
  readonly openUploads = new Set<string>();
  /** What is told of each object; it no longer holds when the object has another ETag. */
  readonly #checksums = new Map<string, { readonly etag: unknown; readonly checksum: string }>();

  constructor(options: S3GateOptions) {
    this.#options = options;
  }

  get seen(): readonly Seen[] {
    return this.#seen;
  }

  get actions(): readonly string[] {
    return this.#seen.map(({ action }) => action);
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port was taken");
    return `http://127.0.0.1:${address.port}`;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  set(plan: FaultPlan): void {
    this.#plan = plan;
  }

  forget(): void {
    this.#seen = [];
    this.mostAtOnce = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    outgoing.once("close", () => this.#atOnce--);
    outgoing.on("error", () => {}); // The other side went away, as some tests do.
    try {
      const body = await readAll(incoming);
      const seen = toSeen(incoming, body.length);
      this.#seen.push(seen);
      const fault = this.#plan(seen);
      if (fault?.kind === "silent") return;
      if (fault?.kind === "status") return void send(outgoing, statusReply(fault));
      const refusal = await this.#refuse(seen, body);
      const reply = refusal ?? await this.#pass(seen, body);
      if (fault?.kind === "reset") incoming.socket.resetAndDestroy();
      else if (fault?.kind === "replace") {
        send(outgoing, { ...reply, body: reply.body.slice().fill(fault.with) });
      } else if (fault?.kind === "cut" || fault?.kind === "stall") {
        outgoing.writeHead(reply.status, reply.headers);
        outgoing.write(reply.body.subarray(0, fault.bytes), () => {
          if (fault.kind === "cut") incoming.socket.destroySoon();
        });
      } else send(outgoing, reply);
    } catch {
      incoming.socket.destroy(); // The other side went away, or the server behind did.
    }
  }

  /** What S3 itself would refuse and the server behind would not. */
  async #refuse(seen: Seen, body: Uint8Array): Promise<Reply | undefined> {
    const { headers, method, target } = seen;
    // Browsers ask without a signature whether a page may send the request that has one.
    if (method === "OPTIONS") return undefined;
    try {
      const { kind } = verifySignature(seen, this.#options.secretAccessKey, Date.now());
      if (kind === "header" && headers["x-amz-content-sha256"] === undefined) {
        return errorReply(400, "InvalidRequest");
      }
    } catch (error) {
      return errorReply(403, "SignatureDoesNotMatch", String(error));
    }
    const signed = headers["x-amz-content-sha256"];
    if (signed !== undefined && signed !== sha256(body, "hex")) {
      return errorReply(400, "XAmzContentSHA256Mismatch");
    }
    const checksum = headers["x-amz-checksum-sha256"];
    if (checksum !== undefined && checksum !== sha256(body, "base64")) {
      return errorReply(400, "BadDigest");
    }
    if (headers["if-none-match"] === "*" && (method === "PUT" || method === "POST")) {
      const path = target.split("?")[0] ?? "";
      const { status } = await this.#forward("HEAD", path, { "x-amz-date": "" }, new Uint8Array());
      if (status === 200) return errorReply(412, "PreconditionFailed");
    }
    return undefined;
  }

  async #pass(seen: Seen, body: Uint8Array): Promise<Reply> {
    const { action, method, target } = seen;
    const uploadId = new URL(target, "http://none").searchParams.get("uploadId") ?? "";
    // The server behind cannot abort: what was begun there stays, unseen.
    if (action === "AbortMultipartUpload") {
      const status = this.openUploads.delete(uploadId) ? 204 : 404;
      return { status, headers: {}, body: new Uint8Array() };
    }
    if (action === "CompleteMultipartUpload" && !this.openUploads.has(uploadId)) {
      return errorReply(404, "NoSuchUpload");
    }
    const { "if-none-match": _, ...headers } = seen.headers;
    const reply = await this.#forward(method, target, headers, body);
    if (action === "CreateMultipartUpload") {
      const id = /<UploadId>(.*)<\/UploadId>/.exec(new TextDecoder().decode(reply.body))?.[1];
      this.openUploads.add(id ?? "");
    }
    if (action === "CompleteMultipartUpload" && reply.status === 200) {
      this.openUploads.delete(uploadId);
    }
    return this.#withChecksum(seen, reply, body);
  }

  /** Tells the checksum of what was stored, and of what is asked for. */
  #withChecksum({ action, target, headers }: Seen, reply: Reply, body: Uint8Array): Reply {
    const path = target.split("?")[0] ?? "";
    const { etag } = reply.headers;
    let checksum = headers["x-amz-checksum-sha256"];
    if (action === "CompleteMultipartUpload") checksum = checksumOfParts(body);
    if (action === "HeadObject" && headers["x-amz-checksum-mode"] === "ENABLED") {
      const told = this.#checksums.get(path);
      if (told?.etag === etag && this.#options.tellsChecksums !== false) checksum = told?.checksum;
    } else if (checksum !== undefined && action !== "UploadPart" && reply.status === 200) {
      this.#checksums.set(path, { etag: etag ?? etagIn(reply.body), checksum });
    }
    if (checksum === undefined) return reply;
    return { ...reply, headers: { ...reply.headers, "x-amz-checksum-sha256": checksum } };
  }

  #forward(
    method: string,
    path: string,
    headers: Seen["headers"],
    body: Uint8Array,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: "127.0.0.1", port: this.#options.target, method, path, headers, agent: false },
        (answer) => {
          readAll(answer).then((bytes) => {
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes });
          }, reject);
        },
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }
}

function toSeen({ method = "", url = "", headers }: IncomingMessage, bytes: number): Seen {
  const target = new URL(url, "http://none");
  const query = target.searchParams;
  const isObject = target.pathname.split("/").length > 2;
  const part = query.has("partNumber") ? "UploadPart" : undefined;
  const names: Readonly<Record<string, string>> = {
    HEAD: isObject ? "HeadObject" : "HeadBucket",
    GET: "GetObject",
    PUT: part ?? "PutObject",
    POST: query.has("uploads") ? "CreateMultipartUpload" : "CompleteMultipartUpload",
    DELETE: query.has("uploadId") ? "AbortMultipartUpload" : "DeleteObject",
  };
  const flat = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return {
    action: names[method] ?? method,
    method,
    target: url,
    headers: Object.fromEntries(flat),
    bytes,
  };
}

/** What S3 calls the checksum of an object that was put together: that of its parts' checksums. */
function checksumOfParts(completion: Uint8Array): string {
  const parts = [
    ...new TextDecoder().decode(completion).matchAll(/<ChecksumSHA256>(.*?)<\/ChecksumSHA256>/g),
  ].map(([, checksum = ""]) => Buffer.from(checksum, "base64"));
  return `${sha256(Buffer.concat(parts), "base64")}-${parts.length}`;
}

function etagIn(body: Uint8Array): string | undefined {
  return /<ETag>(.*)<\/ETag>/.exec(new TextDecoder().decode(body))?.[1]
    ?.replaceAll("&quot;", '"');
}

function statusReply(fault: Extract<Fault, { kind: "status" }>): Reply {
  if (fault.body !== undefined) {
    return { status: fault.status, headers: {}, body: new TextEncoder().encode(fault.body) };
  }
  const { headers, body } = errorReply(fault.status, fault.code ?? "Made");
  return { status: fault.status, headers: { ...headers, ...fault.headers }, body };
}

function errorReply(status: number, code: string, message = ""): Reply {
  const safe = message.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const text = `<Error><Code>${code}</Code><Message>${safe}</Message></Error>`;
  const body = new TextEncoder().encode(text);
  return { status, headers: { "content-type": "application/xml" }, body };
}

function send(outgoing: ServerResponse, { status, headers, body }: Reply): void {
  const isHead = outgoing.req.method === "HEAD";
  // The answer to a HEAD tells the length of what is not sent.
  const length = isHead && headers["content-length"] !== undefined
    ? {}
    : { "content-length": String(body.length) };
  outgoing.writeHead(status, status === 204 ? headers : { ...headers, ...length });
  outgoing.end(isHead ? undefined : body);
}

async function readAll(stream: IncomingMessage): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

function sha256(bytes: Uint8Array, encoding: "hex" | "base64"): string {
  return createHash("sha256").update(bytes).digest(encoding);
}
