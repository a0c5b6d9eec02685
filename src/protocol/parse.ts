/** The door: turns unknown values into parameters, results and notices, by the row's schema. */

import * as v from "valibot";
import { HearthError } from "./errors.ts";
import {
  type MethodName,
  methods,
  type Notice,
  type NotificationName,
  notifications,
  type Params,
  type Result,
} from "./methods.ts";

/**
 * Parses the parameters of a call.
 *
 * @throws {HearthError} `BAD_PARAMS` naming the first field that does not fit (never its content)
 */
export function parseParams<M extends MethodName>(method: M, params: unknown): Params<M> {
  // The compiler cannot see that the row's schema and `Params<M>` belong to the same `M`.
  return parse(methods[method].params, params, `${method} parameters`) as Params<M>;
}

/** Parses the result of a call. @throws {HearthError} `BAD_PARAMS` when it does not fit */
export function parseResult<M extends MethodName>(method: M, result: unknown): Result<M> {
  return parse(methods[method].result, result, `${method} result`) as Result<M>;
}

/** Parses the body of a notification. @throws {HearthError} `BAD_PARAMS` when it does not fit */
export function parseNotice<N extends NotificationName>(name: N, body: unknown): Notice<N> {
  return parse(notifications[name], body, `${name} notification`) as Notice<N>;
}

function parse(schema: v.GenericSchema, value: unknown, what: string): unknown {
  // The schema of a map without fields would take an empty list as well.
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value) &&
    !ArrayBuffer.isView(value);
  if (!isMap) throw new HearthError("BAD_PARAMS", `Cannot read ${what}: the value is no map`);
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new HearthError("BAD_PARAMS", `Cannot read ${what}: ${describe(parsed.issues[0])}`);
}

/** Schemas of these kinds carry messages of ours. */
const ownMessage: ReadonlySet<string> = new Set(["check", "regex", "custom", "safe_integer"]);

/** The library's own messages quote the input, which may be a secret: only its place is told. */
function describe(issue: v.BaseIssue<unknown>): string {
  const path = issue.path?.map((item) => String(item.key)) ?? [];
  if (issue.type === "strict_object" && issue.expected === "never") {
    // The name of a field that no schema knows is input as well.
    path.pop();
    return `${toText(path)} has an unknown field`;
  }
  if (ownMessage.has(issue.type)) return `${toText(path)} ${issue.message}`;
  if (issue.type === "strict_object" && issue.expected !== "Object") {
    return `${toText(path)} is missing`;
  }
  return `${toText(path)} expected ${issue.expected ?? "another value"}`;
}

function toText(path: readonly string[]): string {
  return path.join(".") || "the value";
}
