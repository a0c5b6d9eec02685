/** Signed requests to S3: so many at once, each in its time, and tried again when that may help. */

import { Buffer } from "node:buffer";
import { AwsV4Signer } from "aws4fetch";
import { backoffMs } from "../../base/backoff.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { orAbort } from "../../base/or_abort.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { isTransient, type S3Fault, toFault, toS3Error } from "./s3_fault.ts";
import { type S3Place, urlOf } from "./s3_place.ts";

/** What an {@linkcode S3Client} works with. */
export interface S3ClientOptions {
  readonly place: S3Place;
  /** Requests that wait for their answer at once; more wait for their turn. */
  readonly maxConcurrent: number;
  /** How often one request is sent at most. */
  readonly maxAttempts: number;
  /** Time for one attempt, its answer's head included; a body has more, by its size. */
  readonly attemptMs: number;
  /** Time for all attempts and the pauses between; a body has more, by its size. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly fetch: typeof fetch;
}

/** One request. */
export interface S3Request {
  /** What it is for, in errors: `store blob …`. */
  readonly what: string;
  /** S3's name of it: `PutObject`. */
  readonly action: string;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent for the bucket itself. */
  readonly objectKey?: string | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  /** SHA-256 of the body, so that S3 takes no other. */
  readonly digest?: Uint8Array | undefined;
  /** Statuses that are answers, besides 200 to 299. */
  readonly answers?: readonly number[] | undefined;
  /** Signs in the URL, with all headers, in place of a header. */
  readonly presign?: Presigning | undefined;
}

/** How a URL is signed. */
export interface Presigning {
  readonly expiresSeconds: number;
  /** Base URL of the server for whoever gets the URL. @default the place's own */
  readonly endpoint?: string | undefined;
}

/** An answer. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, as far as it is text of S3's own. */
  readonly text: string;
}

/** An answer whose body is still to come. */
export interface S3Download {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Ends it, whether it has come or not. */
  end(): void;
}

/** The slowest line that is let be: 32 KiB/s. */
const bytesPerMs = 32;
/** Enough for any text of S3 that is read here; the rest is not. */
const maxTextBytes = 64 << 10;
/** SHA-256 of nothing. */
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Sends requests to one bucket. */
export class S3Client {
  readonly #options: S3ClientOptions;
  readonly #slots: Semaphore;
  /** One for each request under way. */
  readonly #pending = new Set<AbortController>();
  #isClosed = false;
  /** Signing keys, one a day; see {@linkcode S3Client.sign}. */
  readonly #signingKeys = new Map<string, ArrayBuffer>();

  constructor(options: S3ClientOptions) {
    this.#options = options;
    this.#slots = new Semaphore(options.maxConcurrent);
  }

  /** Ends all requests; a download whose body is being read is its reader's to end. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#pending) controller.abort(new Error(closed));
  }

  /**
   * Sends a request and reads the answer.
   *
   * @throws {HearthError} `UNAVAILABLE` when no attempt was answered, `STORAGE_FULL` when S3 has no
   * room, `INTERNAL` when it refuses
   */
  async send(request: S3Request): Promise<S3Answer> {
    return await this.#persist(request, async (response, { signal }) => {
      const { status, headers } = response;
      const text = await readText(response, signal);
      // S3 says 200 before it has put parts together, and tells in the body how that ended.
      if (response.ok && /<Error>/.test(text)) {
        throw new Failure(toFault(status, headers, text, this.#options.clock.now()));
      }
      return { status, headers, text };
    });
  }

  /** Sends a request and leaves the body to be read. @throws {HearthError} as `send` does */
  async open(request: S3Request): Promise<S3Download> {
    return await this.#persist(request, async (response, controller) => {
      const { status, headers, body } = response;
      const fault = response.ok ? undefined : await this.#faultOf(response, controller.signal);
      // Without its bucket, nothing can be said of the object.
      if (fault?.code === "NoSuchBucket") throw new Failure(fault);
      return {
        status,
        headers,
        body,
        end: () => controller.abort(new Error("not needed any more")),
      };
    });
  }

  /** Signs a request, in its headers or in its URL. */
  async sign(
    { method, objectKey, query = {}, headers = {}, presign }: Omit<S3Request, "what" | "action">,
  ): Promise<{ readonly url: URL; readonly headers: Headers }> {
    const { place, clock } = this.#options;
    const url = urlOf({ ...place, endpoint: presign?.endpoint ?? place.endpoint }, objectKey);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    if (presign) url.searchParams.set("X-Amz-Expires", String(presign.expiresSeconds));
    if (this.#signingKeys.size > 1) this.#signingKeys.clear();
    return await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers },
      service: "s3",
      region: place.region,
      accessKeyId: place.accessKeyId,
      secretAccessKey: place.secretAccessKey,
      ...(place.sessionToken === undefined ? {} : { sessionToken: place.sessionToken }),
      cache: this.#signingKeys,
      datetime: new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
      signQuery: presign !== undefined,
      allHeaders: presign !== undefined,
    }).sign();
  }

  async #persist<T>(request: S3Request, take: Take<T>): Promise<T> {
    const { clock, maxAttempts, deadlineMs, random } = this.#options;
    const extraMs = (request.body?.length ?? 0) / bytesPerMs;
    using overall = this.#timer(deadlineMs + extraMs);
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#attempt(request, take, overall.signal, extraMs);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        const { fault } = error;
        const ends = !isTransient(fault) || attempt >= maxAttempts || overall.signal.aborted;
        const ms = backoffMs(attempt - 1, random(), { ...backoff, atLeastMs: fault.retryAfterMs });
        if (!ends && clock.now() + ms < overall.endsAt) await pause(clock, ms, overall.signal);
        else throw toS3Error(fault, { ...request, attempts: attempt });
      }
    }
  }

  async #attempt<T>(
    request: S3Request,
    take: Take<T>,
    overall: AbortSignal,
    extraMs: number,
  ): Promise<T> {
    const release = await this.#slots.take(1, overall).catch(toFailure);
    using timer = this.#timer(this.#options.attemptMs + extraMs);
    // Both have to let go of a download whose body is still to come: hence a third.
    const controller = new AbortController();
    const stop = (event: Event) => controller.abort((event.target as AbortSignal).reason);
    const signals = [overall, timer.signal];
    for (const signal of signals) signal.addEventListener("abort", stop);
    try {
      const response = await this.#fetch(request, controller.signal)
        // Some runtimes write the URL into their errors, and so the signature, if it is there.
        .catch((cause) => toFailure(request.presign ? undefined : cause));
      if (!response.ok && !request.answers?.includes(response.status)) {
        throw new Failure(await this.#faultOf(response, controller.signal));
      }
      return await take(response, controller);
    } finally {
      for (const signal of signals) signal.removeEventListener("abort", stop);
      release();
    }
  }

  async #fetch(request: S3Request, signal: AbortSignal): Promise<Response> {
    const { method, body, digest, presign } = request;
    const contentDigest = digest ? Buffer.from(digest).toString("hex") : emptyDigest;
    const { url, headers } = await this.sign({
      ...request,
      headers: {
        ...request.headers,
        ...(!presign && { "x-amz-content-sha256": contentDigest }),
      },
    });
    // Signed, but for `fetch` to write.
    headers.delete("content-length");
    // Not signed, since proxies change it; said, since a packed body would hide its length.
    headers.set("accept-encoding", "identity");
    const { fetch } = this.#options;
    return await orAbort(
      fetch(url, { method, headers, signal, redirect: "manual", ...(body && { body }) }),
      signal,
    );
  }

  async #faultOf(response: Response, signal: AbortSignal): Promise<S3Fault> {
    const text = await readText(response, signal);
    return toFault(response.status, response.headers, text, this.#options.clock.now());
  }

  /** A signal that comes after so long, or when the client closes. */
  #timer(ms: number) {
    const { clock } = this.#options;
    const controller = new AbortController();
    const late = () => controller.abort(new Error(`no answer within ${Math.round(ms)} ms`));
    const cancel = clock.after(ms, late);
    this.#pending.add(controller);
    if (this.#isClosed) controller.abort(new Error(closed));
    return {
      signal: controller.signal,
      endsAt: clock.now() + ms,
      [Symbol.dispose]: () => {
        cancel();
        this.#pending.delete(controller);
      },
    };
  }
}

/** Makes a result of an answer; `controller` ends the request. */
type Take<T> = (response: Response, controller: AbortController) => Promise<T>;

const closed = "the store is closed";
const backoff = { baseMs: 100, maxMs: 5_000 };

/** Carries a fault from an attempt to the loop around it. */
class Failure extends Error {
  readonly fault: S3Fault;

  constructor(fault: S3Fault) {
    super("S3 fault", { cause: fault.cause });
    this.fault = fault;
  }
}

function toFailure(cause: unknown): never {
  throw new Failure({ retryAfterMs: 0, cause });
}

async function readText({ body }: Response, signal: AbortSignal): Promise<string> {
  if (!body) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  while (bytes < maxTextBytes) {
    const { done, value } = await orAbort(reader.read(), signal).catch(toFailure);
    if (done) return text;
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
  // What is cut off is not needed, and neither is the connection that would bring it.
  await reader.cancel();
  return text;
}
