/** How much of everything: the bounds both sides keep, one line each. */

/** The bounds a server announces in its answer to `hello`. */
export interface Limits {
  /** Largest message a client may send, in bytes. */
  readonly messageBytes: number;
  /** Largest sum of blob bytes inside one answer; the rest comes as signed URLs. */
  readonly inlineBytes: number;
  /** Largest blob of a `commit` that may travel inside it; larger ones go to a signed URL first. */
  readonly inlineBlobBytes: number;
  /** Largest blob at all, in bytes. */
  readonly blobBytes: number;
}

/** What a Hearth server announces. */
export const defaultLimits: Limits = {
  messageBytes: 1 << 20,
  inlineBytes: 4 << 20,
  inlineBlobBytes: 256 << 10,
  blobBytes: 256 << 20,
};

/** Most entries in one list of a request, or of one page: blobs asked for, metas of one commit, and the like. */
export const maxListItems = 1000;
/** Most keys of one commit. */
export const maxKeys = 64;
/** Longest key, in UTF-16 units: room for a JWE with a dozen recipients. */
export const maxKeyLength = 8192;
/** Largest data of one meta, in bytes. */
export const maxMetaBytes = 64 << 10;
/** Largest write-ahead record, in bytes. */
export const maxWalBytes = 64 << 10;
/** Largest ephemeral message, in bytes. */
export const maxTellBytes = 16 << 10;
/** Longest token, in characters. */
export const maxTokenLength = 8192;
/** Longest wait of one `poll`, in milliseconds. */
export const maxWaitMs = 30_000;

/** Time a new socket has for its `hello`. */
export const helloTimeoutMs = 5_000;
/** Default pause between heartbeats. */
export const defaultHeartbeatMs = 10_000;
/** How long after a heartbeat a silent peer counts as dead. */
export const heartbeatGraceMs = 5_000;
