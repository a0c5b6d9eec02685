/** The server's log: one line of fields an event, as text or as JSON. */

/** How much is logged: each level includes those after it. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** How a line looks. */
export type LogFormat = "text" | "json";

/** What a line says besides its message. Never tokens, signatures or payloads. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Takes events. */
export interface Log {
  /** Whether lines of this level are kept: saves the work of making them. */
  keeps(level: LogLevel): boolean;
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Options of {@linkcode createLog}. */
export interface LogOptions {
  readonly format: LogFormat;
  /** The least level that is kept. */
  readonly level: LogLevel;
  /** Takes a line without its end. */
  readonly write: (line: string) => void;
  /** Epoch ms. @default Date.now */
  readonly now?: (() => number) | undefined;
}

const weights: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Makes a log. */
export function createLog({ format, level, write, now = Date.now }: LogOptions): Log {
  const keeps = (wanted: LogLevel): boolean => weights[wanted] >= weights[level];
  const line = format === "json" ? toJson : toText;
  const at = (wanted: LogLevel) => (message: string, fields: Fields = {}): void => {
    if (keeps(wanted)) write(line(new Date(now()).toISOString(), wanted, message, fields));
  };
  return { keeps, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A log that keeps nothing. */
export const silentLog: Log = createLog({
  format: "text",
  level: "error",
  write: () => {},
});

/** An unforeseen error as fields: its message and those of its causes, and the place it came from. */
export function errorFields(error: unknown): Fields {
  const stack = error instanceof Error ? error.stack?.split("\n", 3).slice(1).join(" ") : undefined;
  return { error: messagesOf(error), at: stack?.replace(/\s+/g, " ").trim() };
}

/** The messages of an error and its causes. */
export function messagesOf(error: unknown): string {
  const messages: string[] = [];
  // Causes may form a circle; nobody reads further than a few.
  for (let it = error; it !== undefined && messages.length < 4;) {
    messages.push(it instanceof Error ? it.message : String(it));
    it = it instanceof Error ? it.cause : undefined;
  }
  return messages.join(": ");
}

function toJson(time: string, level: LogLevel, message: string, fields: Fields): string {
  return JSON.stringify({ time, level, message, ...fields });
}

function toText(time: string, level: LogLevel, message: string, fields: Fields): string {
  return `${time} ${level.padEnd(5)} ${oneLine(message)}${fieldsText(fields)}`;
}

/** Fields as a line of text has them, each behind a space. */
export function fieldsText(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${quoted(key)}=${quoted(String(value))}`)
    .join("");
}

/** Quoted where a reader could not tell the end: what clients send must not fake a line or a field. */
function quoted(value: string): string {
  return /^[^\s"=\p{C}]+$/u.test(value) ? value : JSON.stringify(value);
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}
