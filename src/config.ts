/** Settings: from the environment and from flags to a {@linkcode Config}, all mistakes at once. */

import { type FireproofJwk, parseFireproofKeys } from "./sts/fireproof_keys.ts";

/** How a line of the log looks. */
export type LogFormat = "text" | "json";

/** How much is logged: each level includes those after it. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** How a server runs. */
export interface Config {
  /** Where it listens; 0 takes a free port. */
  readonly port: number;
  /** The address that it listens on. */
  readonly host: string;
  /** Folder of the database, the blobs and the signing key. */
  readonly data: string;
  /** The Postgres database for metadata; without it, SQLite in the data folder. */
  readonly database: string | undefined;
  /** Where large blobs are kept, `s3://…`; without it, files in the data folder. */
  readonly blobs: string | undefined;
  /** How instances on one database tell each other of changes; without it, through that database. */
  readonly bus: string | undefined;
  /** How clients reach it; without it, as each names it in its request. */
  readonly publicUrl: string | undefined;
  /** Browser origins allowed; empty: the server's own and localhost. */
  readonly origins: readonly string[];
  /** Public keys of a Fireproof deployment, whose tokens its stock clients bring along. */
  readonly fireproofKeys: readonly FireproofJwk[];
  /** How the log looks, and its least level. */
  readonly log: { readonly format: LogFormat; readonly level: LogLevel };
  /** Whether a ledger comes into being with its first commit. */
  readonly autoCreate: boolean;
}

/** One setting: its names, its value when none is given, and what is allowed. */
interface Setting<T> {
  readonly env: string;
  readonly flag: string;
  readonly fallback: string;
  readonly allowed: string;
  /** Its value may hold a password, and is never shown. */
  readonly secret?: true;
  /** Nothing when the text is not allowed. */
  readonly parse: (text: string) => { readonly value: T } | undefined;
}

type Settings = { readonly [K in keyof Config]: Setting<Config[K]> };

const ok = <T>(value: T): { readonly value: T } => ({ value });

/** One row a setting; README and `help` name them by it. */
export const settings: Settings = {
  port: {
    env: "PORT",
    flag: "port",
    fallback: "8787",
    allowed: "a whole number, 0 to 65535",
    parse: (text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535 ? ok(Number(text)) : undefined,
  },
  host: {
    env: "HEARTH_HOST",
    flag: "host",
    fallback: "127.0.0.1",
    allowed: "an address or a host name",
    parse: (text) => /^[\w.:-]+$/.test(text) ? ok(text) : undefined,
  },
  data: {
    env: "HEARTH_DATA",
    flag: "data",
    fallback: "./hearth-data",
    allowed: "a folder",
    parse: (text) => text.includes("\0") ? undefined : ok(text),
  },
  database: {
    env: "DATABASE_URL",
    flag: "database",
    fallback: "",
    allowed: "a URL like postgres://user:password@host:5432/name",
    secret: true,
    parse: (text) => parseUrl(text, /^postgres(ql)?:$/),
  },
  blobs: {
    env: "HEARTH_BLOBS",
    flag: "blobs",
    fallback: "",
    allowed: "a URL like s3://bucket/prefix?region=us-east-1&endpoint=https://s3.example",
    secret: true,
    parse: (text) => parseUrl(text, /^s3:$/),
  },
  bus: {
    env: "HEARTH_BUS",
    flag: "bus",
    fallback: "",
    allowed: "a URL like nats://host:4222",
    secret: true,
    parse: (text) => parseUrl(text, /^nats:$/),
  },
  publicUrl: {
    env: "HEARTH_PUBLIC_URL",
    flag: "public-url",
    fallback: "",
    allowed: "an http: or https: URL without query",
    parse: parsePublicUrl,
  },
  origins: {
    env: "HEARTH_ORIGINS",
    flag: "origins",
    fallback: "",
    allowed: "origins like https://app.example, separated by commas, or *",
    parse: parseOrigins,
  },
  fireproofKeys: {
    env: "CLOUD_SESSION_TOKEN_PUBLIC",
    flag: "fireproof-keys",
    fallback: "",
    allowed: "public ES256 keys as Fireproof writes them (z…), separated by commas",
    // A private key given by mistake must not be shown.
    secret: true,
    parse: (text) => {
      const keys = parseFireproofKeys(text);
      return keys && ok(keys);
    },
  },
  log: {
    env: "HEARTH_LOG",
    flag: "log",
    fallback: "text,info",
    allowed: "text or json, and debug, info, warn or error, separated by a comma",
    parse: parseLog,
  },
  autoCreate: {
    env: "HEARTH_AUTO_CREATE",
    flag: "auto-create",
    fallback: "on",
    allowed: "on or off",
    parse: (text) => text === "on" || text === "off" ? ok(text === "on") : undefined,
  },
};

/** Settings of later releases: better refused than silently not followed. */
const unserved: Readonly<Record<string, string>> = {
  HEARTH_ISSUERS: "this release trusts its own tokens and those of Fireproof's keys only",
};

/** What is wrong with one setting. */
export interface Mistake {
  /** Name of the variable or flag. */
  readonly name: string;
  readonly value: string;
  /** What is allowed instead. */
  readonly allowed: string;
}

/** Reads all settings; flags win over the environment, empty values count as not given. */
export function readConfig(
  env: (name: string) => string | undefined,
  flags: ReadonlyMap<string, string>,
): { readonly config: Config } | { readonly mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = [];
  const read = <K extends keyof Config>(key: K): Config[K] => {
    const { env: variable, flag, fallback, allowed, secret, parse } = settings[key];
    const given = flags.get(flag);
    const value = given ?? (env(variable) || fallback);
    const parsed = parse(value);
    if (parsed) return parsed.value;
    const name = given === undefined ? variable : `--${flag}`;
    mistakes.push({ name, value: secret ? "…" : value, allowed });
    // The fallback is allowed; the mistake above keeps it from being used.
    return parse(fallback)?.value as Config[K];
  };
  const config: Config = {
    port: read("port"),
    host: read("host"),
    data: read("data"),
    database: read("database"),
    blobs: read("blobs"),
    bus: read("bus"),
    publicUrl: read("publicUrl"),
    origins: read("origins"),
    fireproofKeys: read("fireproofKeys"),
    log: read("log"),
    autoCreate: read("autoCreate"),
  };
  if (config.bus !== undefined && config.database === undefined) {
    mistakes.push({
      name: settings.bus.env,
      value: "…",
      allowed: `nothing without ${settings.database.env}: one server alone tells nobody of changes`,
    });
  }
  for (const [name, reason] of Object.entries(unserved)) {
    // The value may hold a password.
    if (env(name)) mistakes.push({ name, value: "…", allowed: `nothing: ${reason}` });
  }
  return mistakes.length > 0 ? { mistakes } : { config };
}

/** Writes mistakes down, one a line. */
export function describeMistakes(mistakes: readonly Mistake[]): string {
  return mistakes
    .map(({ name, value, allowed }) => `${name} is ${JSON.stringify(value)}, allowed is ${allowed}`)
    .join("\n");
}

function parseUrl(text: string, protocol: RegExp) {
  if (text === "") return ok(undefined);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && protocol.test(url.protocol) && url.hostname !== "" ? ok(text) : undefined;
}

function parsePublicUrl(text: string) {
  if (text === "") return ok(undefined);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) return;
  return ok(url.href.replace(/\/+$/, ""));
}

function parseOrigins(text: string) {
  const origins = text.split(",").map((it) => it.trim()).filter((it) => it !== "");
  const allowed = origins.every((it) =>
    it === "*" || (URL.canParse(it) && new URL(it).origin === it)
  );
  return allowed ? ok(origins) : undefined;
}

function parseLog(text: string) {
  let format: LogFormat = "text";
  let level: LogLevel = "info";
  for (const word of text.split(/[\s,]+/)) {
    if (word === "text" || word === "json") format = word;
    else if (word === "debug" || word === "info" || word === "warn" || word === "error") {
      level = word;
    } else return;
  }
  return ok({ format, level });
}
